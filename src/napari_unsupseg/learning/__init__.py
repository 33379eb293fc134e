"""The network that trains itself on one image, and what it then finds in others."""
