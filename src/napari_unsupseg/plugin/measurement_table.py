"""The measurements of a Labels layer's objects, read from its features table."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from napari_unsupseg._typing import Floats, Integers
from napari_unsupseg.errors import MeasurementsError

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["MeasurementTable", "read_table"]

LABEL_COLUMNS = ("index", "label")  # napari's name, and that of scikit-image


@dataclasses.dataclass(frozen=True, eq=False)
class MeasurementTable:
    """What is measured of the objects that a layer shows.

    Attributes
    ----------
    labels : ndarray of int64, shape (objects,)
        Their labels, in order.
    columns : dict of str to ndarray of float64, shape (objects,)
        Their measurements by name; NaN where there is none.
    """

    labels: Integers
    columns: dict[str, Floats]


def read_table(layer: "Labels") -> MeasurementTable:
    """Read the measurements of the objects that are there in a layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        A layer whose features table has a column `index` or `label`, as our tables and those of
        other plugins have. An object that has several lines, as one for each frame, counts by their
        means.

    Returns
    -------
    MeasurementTable
        Without objects that were removed from the layer since they were measured.

    Raises
    ------
    MeasurementsError
        If there is nothing to plot; the sentence says why.
    """
    features = layer.features
    if features.empty and isinstance(layer.data, np.ndarray) and not layer.data.any():
        raise MeasurementsError(f"{layer.name} is empty: there are no objects to be measured")
    if features.empty:
        raise MeasurementsError(
            f"{layer.name} has no measurements: take a layer of objects or segments of ours, or "
            "measure it by another plugin"
        )
    numbers = features.select_dtypes("number")
    label_column = next((name for name in LABEL_COLUMNS if name in numbers), None)
    if label_column is None:
        raise MeasurementsError(
            f"the table of {layer.name} has no numbers in a column index or label, which would say "
            "of which object a line is"
        )
    numbers = numbers[numbers[label_column] > 0]  # neither the background nor what has no label
    labels = numbers[label_column].to_numpy().astype(np.int64)
    numbers = numbers.drop(columns=[*LABEL_COLUMNS], errors="ignore")
    if numbers.columns.empty:
        raise MeasurementsError(
            f"the table of {layer.name} has no measurements, only names: measure its objects"
        )
    means = numbers.astype(float).replace([np.inf, -np.inf], np.nan).groupby(labels).mean()
    if isinstance(layer.data, np.ndarray):  # what is not loaded is not searched
        means = means[np.isin(means.index, layer.data)]
    if means.empty:
        raise MeasurementsError(f"none of the objects in the table of {layer.name} are in it")
    columns = {str(name): values.to_numpy() for name, values in means.items()}
    return MeasurementTable(means.index.to_numpy().astype(np.int64), columns)
