"""Make the documentation's pictures, by driving real napari windows.

    python docs/make_pictures.py --data FOLDER
    python docs/make_pictures.py strokes animation

FOLDER holds ``hela_3channel_cyx.tif``, ``banana_mri_zyx.tif`` and ``membrane_tyx.tif``, of
https://github.com/haesleinhuepf/BioImageAnalysisNotebooks, and ``nuclei.png``, a fluorescence
image of https://bbbc.broadinstitute.org/BBBC038. Without a display it needs Xvfb:
``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py …``.
"""

import argparse
from pathlib import Path

from pictures.algorithm import make_algorithm
from pictures.animation import make_animation
from pictures.first_steps import make_first_steps
from pictures.tasks import (
    make_channels,
    make_measurements,
    make_movie,
    make_network,
    make_objects,
    make_slide,
    make_strokes,
    make_volume,
)
from pictures.tutorials import make_real_nuclei, make_tutorials

OF_SAMPLES = {
    "animation": make_animation,
    "first_steps": make_first_steps,
    "algorithm": make_algorithm,
    "strokes": make_strokes,
    "objects": make_objects,
    "measurements": make_measurements,
    "network": make_network,
    "slide": make_slide,
    "tutorials": make_tutorials,
}
OF_FILES = {
    "channels": make_channels,
    "volume": make_volume,
    "movie": make_movie,
    "real_nuclei": make_real_nuclei,
}


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names",
        nargs="*",
        default="all",
        choices=["all", *OF_SAMPLES, *OF_FILES],
        metavar="NAME",
        help=f"what to make: {', '.join([*OF_SAMPLES, *OF_FILES])}; otherwise all",
    )
    parser.add_argument("--data", type=Path, help="folder with the microscopy images")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    names = [*OF_SAMPLES, *OF_FILES] if "all" in options.names else options.names
    missing = [name for name in names if name in OF_FILES and not options.data]
    if missing:
        parser.error(f"{', '.join(missing)}: need --data")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in OF_SAMPLES:
            OF_SAMPLES[name](options.out)
        else:
            OF_FILES[name](options.out, options.data)


if __name__ == "__main__":
    main()
