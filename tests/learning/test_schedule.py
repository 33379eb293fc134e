import pytest

from napari_unsupseg import Settings
from napari_unsupseg.learning.schedule import MAX_WHOLE_PIXELS, plan_stages


@pytest.mark.parametrize(
    ("shape", "n_frames", "settings", "expected"),
    [
        pytest.param((100, 100), 1, {}, [(1, 150)], id="small"),
        pytest.param((160, 160), 1, {}, [(1, 150)], id="rather small"),
        pytest.param((256, 256), 1, {}, [(2, 145), (1, 5)], id="middling"),
        pytest.param((481, 321), 1, {}, [(4, 145), (1, 5)], id="BSDS500"),
        pytest.param((4096, 4096), 1, {}, [(4, 145), (1, 5)], id="large"),
        pytest.param((100, 100), 3, {}, [(1, 150)], id="few small frames"),
        pytest.param((100, 100), 20, {}, [(1, 145), (1, 5)], id="many small frames"),
        pytest.param((481, 321), 2, {}, [(4, 145), (1, 5)], id="two frames"),
        pytest.param((64, 512, 512), 1, {}, [(4, 145), (1, 5)], id="a volume"),
        pytest.param((481, 321), 1, {"settle": 0}, [(1, 150)], id="as the paper"),
        pytest.param((481, 321), 1, {"settle": None}, [(1, 150)], id="never settles"),
        pytest.param((481, 321), 1, {"iterations": 8}, [(4, 6), (1, 2)], id="few iterations"),
        pytest.param((481, 321), 1, {"iterations": 1}, [(1, 1)], id="one iteration"),
    ],
)
def test_the_plan_of_a_run(shape, n_frames, settings, expected):
    stages = plan_stages(shape, n_frames, Settings.from_dict(settings))
    assert [(stage.factor, stage.iterations) for stage in stages] == expected


@pytest.mark.parametrize(
    ("side", "settle", "is_whole"),
    [
        pytest.param(150, 0.02, [True], id="small"),
        pytest.param(512, 0.02, [True, False], id="a usual micrograph"),
        pytest.param(2048, 0.02, [False, False], id="large"),
        pytest.param(700, 0, [True], id="whole as in the paper"),
        pytest.param(2048, 0, [False], id="too large to be whole"),
    ],
)
def test_what_is_trained_on_whole(side, settle, is_whole):
    stages = plan_stages((side, side), 1, Settings(settle=settle))
    fits = [side**2 / stage.factor**2 <= stage.max_pixels for stage in stages]
    assert fits == is_whole


@pytest.mark.parametrize("n_images", [1, 3])
def test_several_images_cost_as_much_as_one_after_another(n_images):
    one = plan_stages((481, 321), 1, Settings())
    several = plan_stages((481, 321), n_images, Settings(), n_images)
    assert [stage.factor for stage in several] == [stage.factor for stage in one]
    assert several[0].max_pixels == n_images * one[0].max_pixels
    assert several[1].max_pixels == n_images * one[1].max_pixels


def test_a_hundred_images_fit_in_memory_as_one_large_one_does():
    stages = plan_stages((481, 321), 100, Settings(), 100)
    assert all(stage.max_pixels <= MAX_WHOLE_PIXELS for stage in stages)
