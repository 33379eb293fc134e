from .learning.step import Step
from .regions.hierarchy import Hierarchy
from .segment_function import segment
from .segmenter import Segmenter
from .settings import Settings

__all__ = ["Hierarchy", "Segmenter", "Settings", "Step", "__version__", "segment"]

__version__: str
