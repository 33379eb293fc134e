"""OME-TIFF whose planes lie in several files, as microscopes write it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unsupseg.errors import FileError
from napari_unsupseg.io.readers import list_files, open_image, read_image

from ..test_cli import call

CHANNELS = np.random.default_rng(0).integers(0, 255, (3, 20, 30), np.uint8)
NAMES = [f"c{channel}.ome.tif" for channel in range(len(CHANNELS))]
OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{own}">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="30" '
    'SizeY="20" SizeC="{n_channels}" SizeZ="1" SizeT="1">{channels}{planes}</Pixels></Image></OME>'
)


def write_channels(folder: Path, n_said: int = len(NAMES)) -> list[Path]:
    """Write a file for each channel, each with the description of all."""
    folder.mkdir(exist_ok=True)
    uuids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{index}" for index in range(len(NAMES))]
    planes = "".join(
        f'<TiffData IFD="0" FirstC="{index}" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID>'
        "</TiffData>"
        for index, (name, uuid) in enumerate(zip(NAMES, uuids, strict=True))
    )
    channels = "".join(f'<Channel ID="Channel:0:{i}" SamplesPerPixel="1"/>' for i in range(n_said))
    for name, uuid, plane in zip(NAMES, uuids, CHANNELS, strict=True):
        text = OME.format(own=uuid, n_channels=n_said, channels=channels, planes=planes)
        tifffile.imwrite(folder / name, plane, description=text, metadata=None)
    return [folder / name for name in NAMES]


@pytest.mark.parametrize("first", [0, 1])
def test_all_files_are_read_whichever_is_named(tmp_path, first):
    files = write_channels(tmp_path)
    with open_image(files[first]) as source:
        np.testing.assert_array_equal(source.values, CHANNELS)
    assert set(list_files(files[first])) == set(files)


@pytest.mark.parametrize("content", [None, b"", b"text"], ids=["no file", "empty", "no TIFF"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, content):
    files = write_channels(tmp_path)
    files[1].unlink() if content is None else files[1].write_bytes(content)
    # of one that is damaged older versions of tifffile do not say which it is
    which = r"c1\.ome\.tif" if content is None else r"(c1\.ome\.tif|not a TIFF file)"
    with pytest.raises(FileError, match=rf"c0\.ome\.tif: .*{which}"), open_image(files[0]):
        pass


def test_a_file_that_ends_before_its_pixels_is_named(tmp_path):
    files = write_channels(tmp_path)
    files[1].write_bytes(files[1].read_bytes()[:-100])
    with pytest.raises(FileError, match=r"c1\.ome\.tif: .*ends at byte"), open_image(files[0]):
        pass


def test_planes_that_no_file_has_are_told(tmp_path):
    [file, *_] = write_channels(tmp_path, n_said=5)
    with pytest.warns(UserWarning, match="lacks 2 of its 5 planes"):
        values = read_image(file)
    np.testing.assert_array_equal(values[:3], CHANNELS)
    assert not values[3:].any()


def test_a_file_that_leaves_the_description_to_another_says_so(tmp_path):
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="all.companion.ome" UUID="urn:uuid:1"/></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", CHANNELS[0], description=text, metadata=None)
    with pytest.warns(UserWarning, match=r"a\.ome\.tif: .* all\.companion\.ome"):
        assert read_image(tmp_path / "a.ome.tif").shape == (20, 30)


def test_none_of_the_files_is_written_over(tmp_path):
    files = write_channels(tmp_path)
    before = files[2].read_bytes()
    result = call("segment", files[0], "-o", files[2], "--iterations", 1, "--overwrite")
    assert result.exit_code == 2
    assert "which this command reads" in result.output
    assert files[2].read_bytes() == before


def test_files_of_other_kinds_stand_alone(tmp_path):
    for name in ("a.png", "none.tif", "store.zarr"):
        assert list_files(tmp_path / name) == [tmp_path / name]
