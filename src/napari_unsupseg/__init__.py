"""Segment an image that nobody has labelled, by a network that trains itself on it."""

import lazy_loader

try:
    from napari_unsupseg._version import __version__  # a build writes it, from git's tags
except ModuleNotFoundError:  # the sources run as they lie
    __version__ = "0.1.dev0"

# torch takes seconds to load: the public names are fetched on first use
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
