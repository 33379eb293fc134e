"""How large a pixel is, and in which unit."""

from typing import NamedTuple

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
    """

    height: float
    width: float
    unit: str
    depth: float | None = None
