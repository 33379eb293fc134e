import pytest

from napari_unsupseg.io.pixel_size import NO_UNIT, PixelSize


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(PixelSize(1, 1, NO_UNIT), PixelSize(0.5, 0.5, "um"), id="nothing"),
        pytest.param(
            PixelSize(3, 3, "mm", 2, (0, 16, 32)),
            PixelSize(0.5, 0.5, "um", 2000, (0, 16_000, 32_000)),
            id="in another unit",
        ),
        pytest.param(
            PixelSize(2, 2, NO_UNIT, 8, (0, 16, 32)),
            PixelSize(0.5, 0.5, "um", 2, (0, 4, 8)),
            id="without a unit",
        ),
    ],
)
def test_a_side_given_by_hand_leaves_the_rest_as_the_file_says(stored, expected):
    assert stored.with_side(0.5) == expected
