"""Labels, the graph of neighbouring regions, and the hierarchy made of it."""
