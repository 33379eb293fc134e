"""How large a pixel is, and in which unit."""

from typing import NamedTuple

__all__ = ["UNITS", "UNIT_NAMES", "PixelSize"]

# as ImageJ and OME write them
UNITS = {
    "µm": "um", "μm": "um", "\\u00B5m": "um", "um": "um", "micron": "um", "microns": "um",
    "nm": "nm", "mm": "mm", "cm": "cm", "m": "m", "Å": "angstrom",
}  # fmt: skip
UNIT_NAMES = {
    "um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "angstrom": "angstrom",
}  # fmt: skip


class PixelSize(NamedTuple):
    """Height and width of a pixel, their unit in ASCII, and the distance of slices."""

    height: float
    width: float
    unit: str
    depth: float | None = None
