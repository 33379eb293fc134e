"""Corrections as parts of a file: JSON and arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unsupseg.regions.edits import (
    Edit,
    EditHistory,
    Join,
    PixelSet,
    Remove,
    Repaint,
    Split,
    Target,
)

__all__ = ["pack_edits", "unpack_edits"]

Arrays = Mapping[str, NDArray[Any]]


def pack_edits(
    history: EditHistory, prefix: str
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return edits as what `unpack_edits` takes.

    Parameters
    ----------
    history : EditHistory
        The edits; those that were undone are left out.
    prefix : str
        What the names of their arrays are to begin with.

    Returns
    -------
    list of dict
        Each edit, fit for JSON.
    dict of str to ndarray
        The arrays of all of them.
    """
    records: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for index, edit in enumerate(history.done):
        record, own = _pack_edit(edit)
        records.append(record)
        arrays |= {f"{prefix}{index}.{name}": array for name, array in own.items()}
    return records, arrays


def unpack_edits(records: list[dict[str, Any]], arrays: Arrays, prefix: str) -> EditHistory:
    """Return edits from what `pack_edits` made of them.

    Parameters
    ----------
    records : list of dict
        Each edit.
    arrays : mapping of str to ndarray
        Their arrays, and others.
    prefix : str
        What the names of theirs begin with.

    Returns
    -------
    EditHistory
        The edits. Whether they fit labels is known when they are applied.
    """
    edits = []
    for index, record in enumerate(records):
        start = f"{prefix}{index}."
        own = {name[len(start) :]: arrays[name] for name in arrays if name.startswith(start)}
        edits.append(_unpack_edit(record, own))
    return EditHistory(tuple(edits))


def _pack_edit(edit: Edit) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    match edit:
        case Remove():
            sets, record = [edit.pixels], {"kind": "remove", "n_regions": edit.n_regions}
        case Join():
            sets, record = list(edit.parts), {"kind": "join"}
        case Split():
            sets, record = [edit.kept, edit.parted], {"kind": "split", "label": edit.label}
        case Repaint():
            targets = [{"label": one.label, "points": one.points.tolist()} for one in edit.targets]
            record = {"kind": "repaint", "start": edit.start, "targets": targets}
            return record, {"codes": edit.codes}
    starts = [pixels.start for pixels in sets]
    return record | {"starts": starts}, {str(k): one.mask for k, one in enumerate(sets)}


def _unpack_edit(record: dict[str, Any], arrays: Arrays) -> Edit:
    kind = record["kind"]
    if kind == "repaint":
        targets = [
            Target(one["label"], np.array(one["points"], np.int64)) for one in record["targets"]
        ]
        return Repaint(tuple(record["start"]), arrays["codes"], tuple(targets))
    sets = [PixelSet(tuple(start), arrays[str(k)]) for k, start in enumerate(record["starts"])]
    match kind, sets:
        case "remove", [pixels]:
            return Remove(pixels, record["n_regions"])
        case "join", _:
            return Join(tuple(sets))
        case "split", [kept, parted]:
            return Split(kept, parted, record["label"])
    raise ValueError(f"no correction is called {kind}")
