"""How large a pixel is, and in which unit."""

import math
from typing import NamedTuple, Self

__all__ = ["UNIT_NAMES", "UNIT_SPELLINGS", "PixelSize"]

# as ImageJ and OME write units, and the short ASCII name that this package gives them
UNIT_SPELLINGS = {
    "µm": "um", "μm": "um", "\\u00B5m": "um", "um": "um", "micron": "um", "microns": "um",
    "nm": "nm", "mm": "mm", "cm": "cm", "m": "m", "Å": "angstrom",
}  # fmt: skip
# the names that OME-Zarr asks for (UDUNITS-2)
UNIT_NAMES = {
    "um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "angstrom": "angstrom",
}  # fmt: skip

MICROMETERS = {"um": 1, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "angstrom": 1e-4}


class PixelSize(NamedTuple):
    """How large a pixel is.

    Attributes
    ----------
    height, width : float
        Distance of pixels along y and x, in `unit`.
    unit : str
        A key of `UNIT_NAMES`, such as ``'um'``.
    depth : float or None
        Distance of slices along z, in `unit`; None if nobody says it.
    origin : tuple of float
        Where the centre of the first pixel lies along z, y and x, in `unit`.
    """

    height: float
    width: float
    unit: str
    depth: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_possible(self) -> bool:
        """Whether a pixel can have it: files may have 0, infinity or NaN there."""
        sides = [self.height, self.width, 1.0 if self.depth is None else self.depth]
        return all(0 < side < math.inf for side in sides) and all(map(math.isfinite, self.origin))

    def in_micrometers(self) -> Self:
        """Return the same size in micrometers."""
        factor = MICROMETERS[self.unit]
        z, y, x = self.origin
        return self._replace(
            height=self.height * factor,
            width=self.width * factor,
            unit="um",
            depth=self.depth and self.depth * factor,
            origin=(z * factor, y * factor, x * factor),
        )
