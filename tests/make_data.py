"""Small files as other programs write them, for the tests of io.

Each file holds the same picture, as far as its kind allows: a bright disc on a dark ground. Run it
in an environment of its own, since the project does not need these libraries::

    pip install ome-zarr bioio-ome-zarr pillow tifffile imagecodecs
    python tests/make_data.py

The files in ``tests/data`` are those that the versions named in ``tests/data/README.md`` wrote.
"""

import importlib.metadata
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr
from bioio_ome_zarr.writers import Channel, OMEZarrWriter
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image
from PIL import Image

FOLDER = Path(__file__).with_name("data")
HEIGHT, WIDTH = 24, 32
LIBRARIES = ("bioio-ome-zarr", "imagecodecs", "ome-zarr", "pillow", "tifffile", "zarr")

rows, columns = np.mgrid[:HEIGHT, :WIDTH]
DISC = (rows - 11) ** 2 + (columns - 13) ** 2 < 49
GREY = np.where(DISC, 200, 40).astype(np.uint8)
RGB = np.stack([GREY, np.where(DISC, 60, 120), np.where(DISC, 30, 220)], -1).astype(np.uint8)
RGB16 = RGB.astype(np.uint16) * 257 + 3
ALPHA = np.where(columns < 4, 0, 255).astype(np.uint8)  # the left edge is fully transparent
NEAR_INFRARED = np.where(DISC, 10, 250).astype(np.uint8)


def main() -> None:
    """Write every file anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write_png_and_jpeg()
    write_other_pictures()
    write_tiff_samples()
    write_tiff_series()
    write_imagej()
    write_ome_zarr_py()
    write_bioio()
    versions = [f"- {name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    lines = ["# Files of other programs", "", "Made by `tests/make_data.py` with:", "", *versions]
    (FOLDER / "README.md").write_text("\n".join([*lines, ""]))


def write_png_and_jpeg() -> None:
    """Write what Pillow makes of every mode."""
    Image.fromarray(GREY).save(FOLDER / "grey.png")
    Image.fromarray(GREY.astype(np.uint16) * 200).save(FOLDER / "grey16.png")
    Image.fromarray(DISC).save(FOLDER / "one_bit.png")
    Image.fromarray(np.dstack([GREY, ALPHA]), "LA").save(FOLDER / "grey_alpha.png")
    Image.fromarray(RGB).save(FOLDER / "rgb.png")
    Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA").save(FOLDER / "rgba.png")
    Image.fromarray(np.dstack([RGB, np.full_like(ALPHA, 255)]), "RGBA").save(FOLDER / "opaque.png")
    Image.fromarray(RGB).quantize(4).save(FOLDER / "palette.png")
    Image.fromarray(GREY).save(FOLDER / "grey.jpg", quality=95)
    Image.fromarray(RGB).save(FOLDER / "rgb.jpg", quality=95)
    Image.fromarray(RGB).convert("CMYK").save(FOLDER / "cmyk.jpg", quality=95)


def write_other_pictures() -> None:
    """Write movies, more bits than 8, a palette with a transparent colour, and a turned picture."""
    frames = [Image.fromarray(np.roll(RGB, 3 * i, axis=1)) for i in range(3)]
    for name in ("movie.gif", "movie.png", "movie.webp"):
        options = {"lossless": True} if name.endswith("webp") else {}
        frames[0].save(FOLDER / name, save_all=True, append_images=frames[1:], **options)
    frames[0].save(FOLDER / "three.mpo", save_all=True, append_images=frames[1:])
    frames[0].save(FOLDER / "still.gif")
    Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA").save(FOLDER / "transparent.gif")
    (FOLDER / "rgb16.jp2").write_bytes(imagecodecs.jpeg2k_encode(RGB16, level=0))
    Image.fromarray(RGB).save(FOLDER / "rgb.jp2", irreversible=False)
    (FOLDER / "rgb16.ppm").write_bytes(b"P6\n32 24\n65535\n" + RGB16.astype(">u2").tobytes())
    grey12 = (GREY.astype(np.uint16) * 16).astype(">u2")
    (FOLDER / "grey12.pgm").write_bytes(b"P5 # 12 bits\n32 24\n4095\n" + grey12.tobytes())
    np.savetxt(FOLDER / "letters.pgm", GREY, "%d", header="P2 32 24 250", comments="")
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90 degrees
    for name in ("turned.jpg", "turned.png"):
        Image.fromarray(RGB).save(FOLDER / name, exif=exif, quality=95)
    Image.fromarray(RGB).save(FOLDER / "turned.tif", tiffinfo={274: 6})
    np.save(FOLDER / "stack.npy", np.stack([GREY] * 4))
    np.savez(FOLDER / "one.npz", image=GREY)
    np.savez(FOLDER / "two.npz", image=GREY, mask=DISC)
    shutil.copy(FOLDER / "grey.jpg", FOLDER / "no_ending")


def write_tiff_samples() -> None:
    """Write TIFF files whose samples mean different things."""
    Image.fromarray(RGB).convert("CMYK").save(FOLDER / "cmyk.tif")
    Image.fromarray(RGB).quantize(4).save(FOLDER / "palette.tif")
    Image.fromarray(RGB).save(FOLDER / "ycbcr.tif", compression="jpeg", quality=95)
    Image.fromarray(RGB).convert("YCbCr").save(FOLDER / "ycbcr_raw.tif")
    Image.fromarray(RGB).convert("LAB").save(FOLDER / "lab.tif")
    Image.fromarray(np.dstack([GREY, ALPHA]), "LA").save(FOLDER / "grey_alpha.tif")
    Image.fromarray(255 - GREY).point(lambda v: v).save(FOLDER / "grey.tif")
    four = np.dstack([RGB, NEAR_INFRARED])
    write = tifffile.imwrite
    as_jpeg = {"compression": "jpeg", "compressionargs": {"level": 95}}
    write(FOLDER / "ycbcr_jpeg.tif", RGB, photometric="rgb", **as_jpeg)  # stored as YCbCr
    write(FOLDER / "near_infrared.tif", four, photometric="rgb", extrasamples=["unspecified"])
    write(
        FOLDER / "rgba.tif",
        np.dstack([RGB, ALPHA]),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    write(FOLDER / "rgb_planar.tif", np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig=2)
    five = np.dstack([four, GREY])
    write(FOLDER / "five_bands.tif", five, photometric="minisblack", planarconfig="contig")
    write(FOLDER / "white_is_zero.tif", 255 - GREY, photometric="miniswhite")


def write_tiff_series() -> None:
    """Write TIFF files that hold more than one image."""
    with tifffile.TiffWriter(FOLDER / "thumbnail_first.tif") as tiff:
        tiff.write(GREY[::4, ::4], photometric="minisblack")
        tiff.write(GREY, photometric="minisblack")
    tifffile.imwrite(FOLDER / "appended.tif", GREY, photometric="minisblack")
    tifffile.imwrite(FOLDER / "appended.tif", RGB, photometric="rgb", append=True)
    with tifffile.TiffWriter(FOLDER / "positions.ome.tif", ome=True) as tiff:
        for position in (GREY[:12], GREY):
            metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            tiff.write(position, photometric="minisblack", metadata=metadata)


def write_imagej() -> None:
    """Write stacks as ImageJ does."""
    stack = np.stack([GREY] * 4)
    keywords = {"imagej": True, "resolution": (4, 4)}
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(FOLDER / "imagej.tif", stack, metadata=metadata, **keywords)
    metadata |= {"spacing": -2.0}
    tifffile.imwrite(FOLDER / "imagej_negative.tif", stack, metadata=metadata, **keywords)
    whole = (FOLDER / "imagej.tif").read_bytes()
    (FOLDER / "imagej_cut_short.tif").write_bytes(whole[: len(whole) - 2 * GREY.size])


def write_ome_zarr_py() -> None:
    """Write OME-Zarr of both versions by ome-zarr-py: two channels, with units."""
    image = np.stack([GREY, NEAR_INFRARED])
    for version, form in (("04", FormatV04()), ("05", FormatV05())):
        path = FOLDER / f"ome_zarr_py_{version}.ome.zarr"
        write_image(
            image,
            zarr.open_group(path, mode="w", zarr_format=form.zarr_format),
            axes=["c", "y", "x"],
            axes_units={"y": "micrometer", "x": "micrometer"},
            scale={"y": 0.5, "x": 0.25},
            scale_factors=[2],
            fmt=form,
        )


def write_bioio() -> None:
    """Write OME-Zarr of both versions by bioio: five axes, most of length 1, and colours."""
    image = GREY[np.newaxis, np.newaxis, np.newaxis]
    for version, zarr_format in (("04", 2), ("05", 3)):
        writer = OMEZarrWriter(
            store=str(FOLDER / f"bioio_{version}.ome.zarr"),
            level_shapes=[image.shape],
            dtype="uint8",
            zarr_format=zarr_format,
            channels=[Channel(label="nuclei", color="00FF00")],
            axes_names=["t", "c", "z", "y", "x"],
            axes_types=["time", "channel", "space", "space", "space"],
            axes_units=[None, None, "micrometer", "micrometer", "micrometer"],
            physical_pixel_size=[1.0, 1.0, 2.0, 0.5, 0.25],
        )
        writer.write_full_volume(image)


if __name__ == "__main__":
    main()
