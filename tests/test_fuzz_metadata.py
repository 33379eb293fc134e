"""Whatever the JSON in a zarr store or in a file of a network says, it is read or one sentence."""

import hashlib
import json
import shutil
import struct
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file

from napari_unsupseg import Segmenter, Settings
from napari_unsupseg.errors import UnsupsegError
from napari_unsupseg.image.tiling import is_lazy
from napari_unsupseg.io.readers import is_chunked, open_image

from .fuzzing import changed_json, fuzzed, is_one_sentence, spare_memory
from .io.test_ome_zarr import write_ome
from .test_fuzz_command import run_command

DATA = Path(__file__).parent / "data"
# an image that is loaded whole has 2²⁵ values at most, of 16 bytes, and is there twice for a moment
ENOUGH_FOR_AN_IMAGE = 3 * 2**30
ENOUGH_FOR_A_NETWORK = 2**29
STACK = np.arange(3 * 20 * 24, dtype=np.uint16).reshape(3, 20, 24)
ARRAYS: dict[str, dict[str, Any]] = {
    "plain_2": {"zarr_format": 2, "chunks": (1, 8, 24)},
    "filtered_2": {
        "zarr_format": 2,
        "filters": [numcodecs.Delta("<u2")],
        "compressors": numcodecs.Zlib(1),
    },
    "plain_3": {"dimension_names": ["z", "y", "x"], "attributes": {"unit": "µm"}},
    "blosc_3": {"chunks": (1, 8, 24), "compressors": zarr.codecs.BloscCodec()},
    "sharded_3": {"chunks": (1, 10, 12), "shards": (3, 20, 24)},
    "bytes_3": {"compressors": None, "filters": None, "fill_value": 7, "order": "F"},
}
QUICK = ["--iterations", 1, "--superpixels", 9, "--filters", 4, "--max-clusters", 4, "--settle", 0]


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[Path]:
    """Return zarr stores of every kind, each with one image."""
    folder = tmp_path_factory.mktemp("stores")
    write_ome(folder / "own.ome.zarr", STACK, "zyx", translation=(1, 2, 3))
    write_ome(folder / "consolidated.ome.zarr", STACK, "cyx")
    with warnings.catch_warnings():
        # zarr warns of what other programs may not know
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(folder / "consolidated.ome.zarr")
        for name, options in ARRAYS.items():
            try:
                zarr.create_array(folder / f"{name}.zarr", data=STACK, **options)
            except ValueError:  # zarr 3.0 writes no shards that some versions of numcodecs can read
                shutil.rmtree(folder / f"{name}.zarr")
    return sorted([*folder.iterdir(), *DATA.glob("*.zarr")])


def metadata_files(store: Path) -> list[Path]:
    """Return the files of a store that hold JSON."""
    names = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
    return sorted(path for path in store.rglob("*") if path.name in names)


def read(path: Path) -> NDArray[np.generic] | None:
    """Return the values of an image, unless there are too many; what is said of them fits them."""
    with spare_memory(ENOUGH_FOR_AN_IMAGE):
        is_chunked(path)
        with open_image(path) as image:
            assert image.axes is None or len(image.axes) == image.values.ndim
            assert image.pixel_size is None or image.pixel_size.is_possible
            if not is_lazy(image.values):
                return image.values
            if np.prod(image.values.chunksize, dtype=float) * image.values.dtype.itemsize < 2**28:
                image.values[(slice(2),) * image.values.ndim].compute(scheduler="sync")
            return None


@fuzzed(150, 5000)
@given(st.data())
def test_the_metadata_of_a_zarr_store(stores, data):
    store = data.draw(st.sampled_from(stores))
    file = data.draw(st.sampled_from(metadata_files(store)))
    metadata = data.draw(changed_json(json.loads(file.read_text())))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / store.name
        shutil.copytree(store, path)
        (path / file.relative_to(store)).write_text(json.dumps(metadata))
        try:
            values = read(path)
        except UnsupsegError as error:
            sentence = str(error)
            assert sentence.startswith(f"{path}: ")
            assert is_one_sentence(sentence)
            return
        if values is None or values.size > 10_000:
            return
        is_of_a_group = file.parent == store and store.stem not in (*ARRAYS, "consolidated.ome")
        if is_of_a_group and values.shape == read(store).shape:
            np.testing.assert_array_equal(values, read(store))
        out = path.parent / data.draw(st.sampled_from(["o.tif", "o.ome.zarr"]))
        run_command("segment", path, "-o", out, *QUICK, "--table", path.parent / "t.csv")


def parts_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a file of safetensors, with that of this package in it, and its rest."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = {
        name: json.loads(text) for name, text in header["__metadata__"].items()
    }
    return header, content[8 + length :]


def joined(header: Any, rest: bytes, length: int | None = None) -> bytes:
    """Return the content of a file; the reverse of `parts_of`."""
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        entries = header["__metadata__"].items()
        texts = {
            name: text if isinstance(text, str) else json.dumps(text) for name, text in entries
        }
        header = header | {"__metadata__": texts}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + rest


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> list[bytes]:
    """Return files of a network of planes and one of volumes.

    Of each there is one in the first format too, where no SHA-256 guards what the header says.
    """
    contents = []
    for image, axes in ((STACK[0], "yx"), (STACK, "zyx")):
        path = tmp_path_factory.mktemp("networks") / "a.unsupseg"
        segmenter = Segmenter(Settings(filters=4, max_clusters=4, iterations=1, superpixels=9))
        segmenter.fit(image, axes=axes, spatial_ndim=len(axes)).save(path)
        header, rest = parts_of(path.read_bytes())
        contents.append(joined(header, rest))
        digest = hashlib.sha256()
        for name, tensor in sorted(load_file(path).items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
        first = {"format_version": 1, "sha256": digest.hexdigest()}
        header["__metadata__"]["napari-unsupseg"] |= first
        contents.append(joined(header, rest))
    return contents


@fuzzed(400, 20_000)
@given(st.data())
def test_the_header_of_a_network(networks, tmp_path, data):
    header, rest = parts_of(data.draw(st.sampled_from(networks)))
    length = data.draw(st.none() | st.none() | st.integers(0, 2**64 - 1))
    path = tmp_path / "a.unsupseg"
    inner = data.draw(st.booleans())
    if inner:
        header["__metadata__"] = data.draw(changed_json(header["__metadata__"]))
    else:
        header = data.draw(changed_json(header))
    path.write_bytes(joined(header, rest, length))
    with warnings.catch_warnings(), spare_memory(ENOUGH_FOR_A_NETWORK):
        warnings.simplefilter("ignore")
        try:
            segmenter = Segmenter.load(path, device="cpu")
        except UnsupsegError as error:
            sentence = str(error)
            assert sentence.startswith(f"{path}: ")
            assert is_one_sentence(sentence)
            assert "alloc" not in sentence
            return
        image = STACK if segmenter._loaded.spatial_ndim == 3 else STACK[0]
        labels = segmenter.predict(image, axes="zyx"[-image.ndim :])
    assert labels.shape == image.shape
    assert 1 <= labels.min() <= labels.max() <= 4
