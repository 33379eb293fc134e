"""What the panel is put together from."""
