"""Segment an image that nobody has labelled, by a network that trains itself on it."""

import lazy_loader

__version__ = "0.1.0.dev0"

# torch takes seconds to load: the public names are fetched on first use
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
