"""What `make_pictures.py` makes, each module a part of it."""
