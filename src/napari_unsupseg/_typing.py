"""Types that many rooms share."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Colours", "Floats", "Integers", "Labels", "Track"]

T = TypeVar("T")

Labels = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Colours = NDArray[np.float32]
Track = Callable[[Sequence[T], str], Iterable[T]]  # goes through a sequence and shows how far
