from .learning.step import Step
from .regions.hierarchy import Hierarchy
from .segmenter import Segmenter, segment
from .settings import Settings

__all__ = ["Hierarchy", "Segmenter", "Settings", "Step", "__version__", "segment"]

__version__: str
