"""Labels, the graph of neighbouring regions, and the hierarchy in which they merge."""
