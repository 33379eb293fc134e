"""How large a pixel is, and in which unit."""

import math
import warnings
from collections.abc import Mapping
from typing import NamedTuple, Self

__all__ = ["NO_UNIT", "UNIT_NAMES", "PixelSize", "combine_axes", "unit_of"]

NO_UNIT = "pixel"  # of sizes that no unit of length is known of

# short ASCII names, and those that OME-Zarr asks for (UDUNITS-2)
UNIT_NAMES = {
    "pm": "picometer", "angstrom": "angstrom", "nm": "nanometer", "um": "micrometer",
    "mm": "millimeter", "cm": "centimeter", "dm": "decimeter", "m": "meter", "km": "kilometer",
    "in": "inch", "ft": "foot",
}  # fmt: skip
MICROMETERS = {
    "pm": 1e-6, "angstrom": 1e-4, "nm": 1e-3, "um": 1, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6,
    "km": 1e9, "in": 25_400, "ft": 304_800,
}  # fmt: skip
# as ImageJ, OME and people write units
SPELLINGS = {
    **{unit: unit for unit in UNIT_NAMES},
    **{name: unit for unit, name in UNIT_NAMES.items()},
    **{name.replace("meter", "metre"): unit for unit, name in UNIT_NAMES.items()},
    "µm": "um", "μm": "um", "\\u00B5m": "um", "micron": "um", "microns": "um", "Å": "angstrom",
    "pixel": NO_UNIT, "pixels": NO_UNIT, "": NO_UNIT,
}  # fmt: skip
SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "ms": 1e-3, "millisecond": 1e-3, "µs": 1e-6,
    "us": 1e-6, "microsecond": 1e-6, "ns": 1e-9, "nanosecond": 1e-9, "min": 60, "minute": 60,
    "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400,
}  # fmt: skip


class PixelSize(NamedTuple):
    """How large a pixel is.

    Attributes
    ----------
    height, width : float
        Distance of pixels along y and x, in `unit`.
    unit : str
        A key of `UNIT_NAMES`, such as ``'um'``; or `NO_UNIT`.
    depth : float or None
        Distance of slices along z, in `unit`; None if nobody says it.
    origin : tuple of float
        Where the centre of the first pixel lies along z, y and x, in `unit`.
    interval : float or None
        Seconds from one time point to the next; None if nobody says it.
    """

    height: float
    width: float
    unit: str
    depth: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    interval: float | None = None

    @property
    def is_possible(self) -> bool:
        """Whether a pixel can have it: files may have 0, infinity or NaN there."""
        sides = [self.height, self.width, 1.0 if self.depth is None else self.depth]
        return all(0 < side < math.inf for side in sides) and all(map(math.isfinite, self.origin))

    def with_side(self, side: float) -> Self:
        """Return the size of square pixels, in micrometers; all else is kept.

        Parameters
        ----------
        side : float
            Side of a pixel in micrometers.

        Returns
        -------
        PixelSize
            What had no unit has the one of the side.
        """
        by = side / self.height if self.unit == NO_UNIT else MICROMETERS[self.unit]
        z, y, x = self.origin
        return self._replace(
            height=side,
            width=side,
            unit="um",
            depth=self.depth and self.depth * by,
            origin=(z * by, y * by, x * by),
        )


def unit_of(spelling: str | None) -> str | None:
    """Return the name of a unit of length.

    Parameters
    ----------
    spelling : str or None
        As a file has it; None if it has none.

    Returns
    -------
    str or None
        A key of `UNIT_NAMES`, or `NO_UNIT`; None for a unit that is not known here.

    Examples
    --------
    >>> unit_of("micrometre")
    'um'
    """
    return SPELLINGS.get(spelling or "")


def combine_axes(
    name: object,
    sides: Mapping[str, float],
    units: Mapping[str, str | None],
    starts: Mapping[str, float] | None = None,
    interval: tuple[float, str | None] | None = None,
) -> PixelSize | None:
    """Return the size of a pixel that a file says axis by axis.

    Parameters
    ----------
    name : object
        What the image is called in a warning, such as its path.
    sides : mapping of str to float
        Distance of pixels along y, x and z, as far as the file says them.
    units : mapping of str to str or None
        Their units, as the file spells them.
    starts : mapping of str to float, optional
        Where the first pixel lies.
    interval : tuple of float and str or None, optional
        Time from one time point to the next, and its unit, as the file spells it.

    Returns
    -------
    PixelSize or None
        In the unit of y. Unless each axis has a known unit, or none has one, the numbers stay
        without a unit, with a warning. None if nothing is said.
    """
    if not {"y", "x"} <= set(sides):
        sides, units = {"y": 1, "x": 1}, {}
    known = {axis: unit_of(units.get(axis)) for axis in sides}
    kinds = set(known.values())
    if (len(kinds) > 1 and not kinds <= set(UNIT_NAMES)) or None in kinds:
        said = " and ".join(sorted({str(units.get(axis) or "no unit") for axis in sides}))
        warnings.warn(
            f"{name}: gives the size of its pixels in {said}, not in known units of length along "
            "every axis: the numbers are kept without a unit; give the size with --pixel-size",
            stacklevel=4,
        )
        known = dict.fromkeys(sides, NO_UNIT)
    unit = known["y"] or NO_UNIT
    by = {
        axis: MICROMETERS.get(known[axis] or NO_UNIT, 1) / MICROMETERS.get(unit, 1)
        for axis in sides
    }
    height, width = sides["y"] * by["y"], sides["x"] * by["x"]
    depth = sides["z"] * by["z"] if "z" in sides else None
    z, y, x = ((starts or {}).get(axis, 0.0) * by.get(axis, 1) for axis in "zyx")
    seconds = _seconds(name, *interval) if interval else None
    says_something = unit != NO_UNIT or {*sides.values()} != {1} or any((z, y, x)) or seconds
    return PixelSize(height, width, unit, depth, (z, y, x), seconds) if says_something else None


def _seconds(name: object, interval: float, unit: str | None) -> float | None:
    """Return the time between time points; None of one that says nothing, or nothing sensible."""
    if unit in SECONDS and 0 < interval < math.inf:
        return interval * SECONDS[unit]
    if interval != 1:
        warnings.warn(
            f"{name}: gives the time between time points as {interval:g} {unit or 'of no unit'}, "
            "which is left out",
            stacklevel=5,
        )
    return None
