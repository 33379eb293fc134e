"""Scientific images that install with scikit-image, and fluorescent nuclei that are simulated."""

import numpy as np
import scipy.ndimage as ndi
import skimage.data
from numpy.typing import NDArray

__all__ = [
    "MICROMETRES",
    "N_NUCLEI",
    "cell",
    "galaxies",
    "moving_nuclei",
    "nuclei",
    "nuclei_volume",
    "retina",
    "tissue",
]

Picture = NDArray[np.uint8]
Photons = NDArray[np.uint16]
Centres = NDArray[np.float64]

# of the simulated nuclei; lengths are in pixels along y and x
MICROMETRES = 0.5  # the side of a pixel; slices are twice as far apart
N_NUCLEI = {"nuclei": 60, "moving_nuclei": 12, "nuclei_volume": 12}
RADII = 7.0, 11.0
CLOSEST = 17.0  # so that some touch
BLUR = 1.5
PHOTONS = 200  # of the brightest nucleus, in each pixel
BACKGROUND = 20  # likewise


def tissue() -> Picture:
    """Return a section of colonic glands, immunostained with haematoxylin and DAB.

    Returns
    -------
    ndarray of uint8, shape (256, 256, 3)
        RGB; a gland and the tissue around it.
    """
    picture: Picture = skimage.data.immunohistochemistry()
    return picture[256:, 128:384]


def cell() -> Picture:
    """Return a cell seen by phase contrast.

    Returns
    -------
    ndarray of uint8, shape (320, 320)
        Grey; the cell and its surroundings.
    """
    picture: Picture = skimage.data.cell()
    return picture[200:520, 230:550]


def retina() -> Picture:
    """Return a detail of a retina, with vessels and two small aneurysms.

    Returns
    -------
    ndarray of uint8, shape (102, 102)
        Grey; the green channel.
    """
    picture: Picture = skimage.data.microaneurysms()
    return picture


def galaxies() -> Picture:
    """Return a part of the Hubble eXtreme Deep Field.

    Returns
    -------
    ndarray of uint8, shape (400, 400, 3)
        RGB; galaxies and the dark between them.
    """
    picture: Picture = skimage.data.hubble_deep_field()
    return picture[:400, :400]


def nuclei() -> Photons:
    """Return fluorescent nuclei, simulated: 60 of them, some of which touch.

    Returns
    -------
    ndarray of uint16, shape (256, 256)
        Grey; pixels of 0.5 µm.
    """
    rng = np.random.default_rng(2)
    shape = 256, 256
    return _expose(_draw_nuclei(shape, _place_nuclei(shape, N_NUCLEI["nuclei"], rng), rng), rng)


def moving_nuclei() -> Photons:
    """Return a movie of fluorescent nuclei, simulated: 12 of them, which drift apart.

    Returns
    -------
    ndarray of uint16, shape (6, 128, 128)
        Grey; time points, and pixels of 0.5 µm.
    """
    shape = 128, 128
    first = _place_nuclei(shape, N_NUCLEI["moving_nuclei"], np.random.default_rng(1), margin=20)
    middle = np.array(shape) / 2
    frames = []
    for time in range(6):
        # the same radii and brightness in each frame, other photons
        centres = middle + (first - middle) * (1 + 0.03 * time)
        frame = _draw_nuclei(shape, centres, np.random.default_rng(1))
        frames.append(_expose(frame, np.random.default_rng(time)))
    return np.stack(frames)


def nuclei_volume() -> Photons:
    """Return a volume of fluorescent nuclei, simulated: 12 of them.

    Returns
    -------
    ndarray of uint16, shape (20, 72, 72)
        Grey; slices 1 µm apart, and pixels of 0.5 µm.
    """
    rng = np.random.default_rng(0)
    shape, spacing = (20, 72, 72), (2.0, 1.0, 1.0)
    centres = _place_nuclei(shape, N_NUCLEI["nuclei_volume"], rng, spacing)
    return _expose(_draw_nuclei(shape, centres, rng, spacing), rng)


def _place_nuclei(
    shape: tuple[int, ...],
    n: int,
    rng: np.random.Generator,
    spacing: tuple[float, ...] = (1.0, 1.0),
    margin: float = RADII[1],
) -> Centres:
    """Draw centres at random, none nearer to another than `CLOSEST` or to the border than a margin.

    All lengths are in pixels along y and x.
    """
    room = np.array(shape) * spacing
    centres: list[Centres] = []
    while len(centres) < n:
        centre = rng.uniform(margin, room - margin)
        if all(np.linalg.norm(centre - other) > CLOSEST for other in centres):
            centres.append(centre)
    return np.array(centres)


def _draw_nuclei(
    shape: tuple[int, ...],
    centres: Centres,
    rng: np.random.Generator,
    spacing: tuple[float, ...] = (1.0, 1.0),
) -> NDArray[np.float64]:
    """Draw an ellipse, or an ellipsoid, of one brightness around each centre."""
    places = np.moveaxis(np.indices(shape), 0, -1) * spacing
    image = np.zeros(shape)
    for centre in centres:
        radii, brightness = rng.uniform(*RADII, len(shape)), rng.uniform(0.4, 1)
        is_inside = (((places - centre) / radii) ** 2).sum(axis=-1) < 1
        image[is_inside] = brightness
    blurred: NDArray[np.float64] = ndi.gaussian_filter(image, BLUR / np.array(spacing))
    return blurred


def _expose(image: NDArray[np.float64], rng: np.random.Generator) -> Photons:
    """Count photons, with the noise that counting has."""
    return rng.poisson(BACKGROUND + PHOTONS * image).astype(np.uint16)
