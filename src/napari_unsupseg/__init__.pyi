from .hierarchy import Hierarchy
from .segmenter import Segmenter, segment
from .settings import Settings
from .training import Step

__all__ = ["Hierarchy", "Segmenter", "Settings", "Step", "__version__", "segment"]

__version__: str
