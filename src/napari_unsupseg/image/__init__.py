"""Any array to channels first, float32 in [0, 1]; the one place for blocks and halos."""
