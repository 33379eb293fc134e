"""What is measured of the regions of a layer."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_unsupseg.plugin.layout import Layout
from napari_unsupseg.plugin.region_tables import calibration_of, region_features


@pytest.mark.parametrize(
    ("units", "scale", "area"),
    [
        pytest.param(("um", "um"), (0.5, 2), {"area_um2": [2, 4]}, id="micrometres"),
        pytest.param(("pixel", "pixel"), (0.5, 2), {"area": [2, 4]}, id="pixels"),
        pytest.param(("um", "nm"), (0.5, 2), {"area": [2, 4]}, id="two units"),
        pytest.param(("um", "um"), (2, 2), {"area_um2": [8, 16]}, id="larger pixels"),
    ],
)
def test_regions_are_measured_in_the_units_of_the_layer(units, scale, area):
    labels = np.array([[4, 4, 7], [7, 7, 7]], np.uint8)
    layout = Layout((2, 3), "yx", is_rgb=False)
    calibration = calibration_of(Labels(labels, units=units, scale=scale), layout)
    features = region_features(labels, np.zeros((2, 3), np.uint8), layout, calibration)
    assert features["index"].tolist() == [4, 7]
    [(name, values)] = area.items()
    assert features[name].tolist() == values
