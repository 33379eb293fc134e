"""Pictures and small movies, of which Pillow or imageio knows the format, and NumPy's arrays."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import imageio.v3
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageSequence, UnidentifiedImageError

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.colour_model import SampleModel

__all__ = ["Picture", "read_picture"]

SAMPLES_OF_MODE = {  # Pillow's modes of several values a pixel
    "LA": SampleModel("grey", 1),
    "RGB": SampleModel("rgb"),
    "RGBA": SampleModel("rgb", 3),
    "CMYK": SampleModel("cmyk"),
}
MODE_OF_SAMPLES = (None, "L", "LA", "RGB", "RGBA")
# what Pillow gives the values of other modes in, and those of which some are transparent
PLAIN_MODES = {"P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "HSV": "RGB",
               "YCbCr": "RGB", "LAB": "RGB"}  # fmt: skip
ALPHA_MODES = {"1": "LA", "L": "LA", "P": "RGBA", "PA": "RGBA", "RGB": "RGBA"}
MOVIES = ("AVIF", "GIF", "PNG", "WEBP")  # formats whose images follow one another in time
DECODERS = {  # of formats that may have more than 8 bits, of which Pillow leaves 8
    "PNG": imagecodecs.png_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
    "AVIF": imagecodecs.avif_decode,
}
MANY_PIXELS = 2**30  # twice as many are more likely damage than a picture
NUMPY_SIGNATURES = (b"\x93NUMPY", b"PK\x03\x04")  # the latter of archives of arrays
# portable grey and pixel maps, of which Pillow scales the values; a comment may stand in each gap
GAP = rb"(?:\s|#[^\n]*\n)+"
NETPBM = re.compile(rb"P([2356])%b(\d+)%b(\d+)%b(\d+)\s" % (GAP, GAP, GAP))


class Picture(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    values : ndarray
        Values as they are stored; palettes are looked up.
    axes : str or None
        One letter an axis, as `napari_unsupseg.segment` takes them; None if that is not clear.
    samples : SampleModel
        What the samples of a pixel are.
    orientation : int
        How the picture is to be turned or mirrored to be shown, by the numbers of Exif; 1 if not.
    """

    values: NDArray[Any]
    axes: str | None
    samples: SampleModel
    orientation: int = 1


def read_picture(path: Path) -> Picture:
    """Read a file by its content, whatever its ending.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Picture
        All frames of a movie; of other files with several images the first, with a warning.

    Raises
    ------
    FileError
        If no library here knows the format. Of a damaged file libraries raise other errors too.
    """
    data = path.read_bytes()
    if data.startswith(NUMPY_SIGNATURES):
        return Picture(_load_array(path), None, SampleModel("channels"))
    if header := NETPBM.match(data):
        return _of_values(_read_netpbm(data, header))
    with _large_pictures():
        return _read_by_pillow(path, data)


@contextlib.contextmanager
def _large_pictures() -> Iterator[None]:
    """Have Pillow read pictures that it takes for an attack, since users choose their own."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MANY_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _read_by_pillow(path: Path, data: bytes) -> Picture:
    """Return what Pillow, or else imageio, finds in a file."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        return _read_by_imageio(path, data)
    with image:
        n_images = getattr(image, "n_frames", 1)
        if n_images > 1 and image.format in MOVIES:
            return _read_movie(image)
        if n_images > 1:
            warnings.warn(
                f"{path}: holds {n_images} images, of which the first is taken; for the others "
                "save each as a file",
                stacklevel=4,
            )
        # PNG may have this behind its pixels, which Pillow then decodes to find it
        has_exif = image.format != "PNG" or "exif" in image.info
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) if has_exif else 1
        return _read_image(image, data)._replace(orientation=turned)


def _load_array(path: Path) -> NDArray[Any]:
    """Return the only array of a file by NumPy; a file of several says which it has."""
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if len(loaded.files) != 1:
            raise FileError(
                f"{path}: holds {len(loaded.files)} arrays ({', '.join(loaded.files)}); save the "
                "one to be segmented as .npy"
            )
        [array] = loaded.values()
    return np.asarray(array)


def _read_image(image: Image.Image, data: bytes) -> Picture:
    """Return a picture with as many bits as it has."""
    decode = DECODERS.get(str(image.format))
    if decode is not None:
        with contextlib.suppress(ImportError):  # not every build of imagecodecs has all
            values = decode(data)
            if image.format == "PNG" or values.dtype != np.uint8:
                return _of_values(values)
    plain = _to_plain_mode(image)
    values = np.asarray(plain)
    samples = SAMPLES_OF_MODE.get(plain.mode, SampleModel("channels"))
    return Picture(values, "yxs" if values.ndim == 3 else "yx", samples)


def _read_movie(image: Image.Image) -> Picture:
    """Return all frames, in the colours that the first ones and the others can be shown in."""
    frames = [_to_plain_mode(frame).copy() for frame in ImageSequence.Iterator(image)]
    modes = {frame.mode for frame in frames}
    mode = "RGBA" if modes & {"RGBA", "LA"} else "RGB" if "RGB" in modes else frames[0].mode
    values = np.stack([np.asarray(frame.convert(mode)) for frame in frames])
    samples = SAMPLES_OF_MODE.get(mode, SampleModel("grey"))
    return Picture(values, "tyxs" if values.ndim == 4 else "tyx", samples)


def _to_plain_mode(image: Image.Image) -> Image.Image:
    """Return an image whose values need no palette, nor a colour that stands for transparency."""
    modes = ALPHA_MODES if image.has_transparency_data else PLAIN_MODES
    return image.convert(modes[image.mode]) if image.mode in modes else image


def _read_netpbm(data: bytes, header: re.Match[bytes]) -> NDArray[Any]:
    """Return the values of a portable grey or pixel map, of one or two bytes or in letters."""
    kind, width, height, greatest = map(int, header.groups())
    n_samples = 3 if kind in (3, 6) else 1
    n_values, dtype = width * height * n_samples, np.uint8 if greatest < 256 else np.uint16
    if kind in (2, 3):
        values = np.array(data[header.end() :].split()[:n_values]).astype(dtype)
    else:
        big_endian = np.dtype(dtype).newbyteorder(">")
        values = np.frombuffer(data, big_endian, n_values, header.end()).astype(dtype)
    return values.reshape((height, width, 3) if n_samples == 3 else (height, width))


def _of_values(values: NDArray[Any]) -> Picture:
    """Return a picture with one to four samples a pixel: grey or colours, and then alpha."""
    n_samples = values.shape[2] if values.ndim == 3 else 1
    samples = SAMPLES_OF_MODE.get(str(MODE_OF_SAMPLES[n_samples]), SampleModel("grey"))
    return Picture(values, "yxs" if values.ndim == 3 else "yx", samples)


def _read_by_imageio(path: Path, data: bytes) -> Picture:
    """Return what one of imageio's other libraries reads."""
    with warnings.catch_warnings():
        # imageio tries all that it has on a file of another kind, and warns of what is old
        warnings.simplefilter("ignore", DeprecationWarning)
        # bytes, not the path: of a file it cannot read imageio leaves the handle open
        try:
            ending = path.suffix or ".unknown"  # an empty one makes imageio fail
            values = np.asarray(imageio.v3.imread(data, extension=ending))
        except OSError as error:
            if "backend" not in str(error):  # of a library that knows such files
                raise
            raise FileError(
                f"{path}: cannot be read as an image, it is damaged or of another kind; TIFF, "
                "OME-Zarr, PNG, JPEG and NumPy's .npy can be read"
            ) from error
    axes = {2: "yx", 3: "yxs"}.get(values.ndim)
    return Picture(values, axes, SampleModel("channels"))
