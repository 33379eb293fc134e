"""The errors a user can cause or mend, each raised with one clear sentence."""

__all__ = [
    "DeviceError",
    "FileError",
    "ImageDtypeError",
    "ImageError",
    "MeasurementsError",
    "OutOfMemoryError",
    "SettingError",
    "StrokesError",
    "UnsupsegError",
    "first_line",
]

LONGEST_LINE = 300  # characters of what an error of another library says


def first_line(error: BaseException) -> str:
    r"""Return what an error of another library says, for the brackets of a sentence.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    str
        The first line of its text, cut short where it is long: some libraries quote a whole file.
        Its kind if it has none.

    Examples
    --------
    >>> first_line(ValueError("no zlib header\nat byte 3"))
    'no zlib header'
    >>> first_line(MemoryError())
    'MemoryError'
    """
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


class UnsupsegError(Exception):
    """Base of every error that this package raises on purpose."""


class ImageError(UnsupsegError, ValueError):
    """An image, its axes or its mask cannot be segmented as given."""


class ImageDtypeError(UnsupsegError, TypeError):
    """An image holds something other than real numbers."""


class SettingError(UnsupsegError, ValueError):
    """A setting is unknown, of the wrong type or out of its range."""


class MeasurementsError(UnsupsegError, ValueError):
    """A layer has no measurements of its objects that could be shown."""


class StrokesError(UnsupsegError, ValueError):
    """Strokes do not fit the image or the number of clusters."""


class DeviceError(UnsupsegError, ValueError):
    """A device is unknown or not there."""


class OutOfMemoryError(UnsupsegError, MemoryError):
    """The device ran out of memory in the middle of a run, or a file takes more than there is."""


class FileError(UnsupsegError, OSError):
    """A file cannot be read or written."""
