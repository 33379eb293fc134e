import numpy as np
import pytest

from napari_unsupseg.errors import ImageError, SettingError, StrokesError
from napari_unsupseg.image.channels import split_channels
from napari_unsupseg.image.normalize import normalize_image
from napari_unsupseg.regions.hierarchy_builder import build_hierarchy
from napari_unsupseg.regions.measure import measure_objects
from napari_unsupseg.regions.objects import make_objects
from napari_unsupseg.regions.splitting import find_basins
from tests.regions.helpers import PLANE, ball, hierarchy_of
from tests.regions.test_foreground import CENTRES, clusters_of, discs, noisy

SHAPE = (60, 120)
SPECK = ball(SHAPE, (50, 60), (2, 2))  # 13 pixels
SMALL = ball(SHAPE, (20, 30), (8, 8))  # 197
LARGE = ball(SHAPE, (30, 90), (14, 14))  # 613
CUT = ball(SHAPE, (0, 60), (9, 9))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, [SMALL, LARGE, CUT], id="specks are left out"),
        pytest.param({"min_size": 1}, [SMALL, LARGE, CUT, SPECK], id="unless asked for"),
        pytest.param({"min_size": 13}, [SMALL, LARGE, CUT, SPECK], id="as small as the smallest"),
        pytest.param({"min_size": 14}, [SMALL, LARGE, CUT], id="a little larger"),
        pytest.param({"max_size": 612}, [SMALL, CUT], id="too large"),
        pytest.param({"max_size": 613}, [SMALL, LARGE, CUT], id="just small enough"),
        pytest.param({"exclude_border": True}, [SMALL, LARGE], id="not at the border"),
        pytest.param({"min_size": 1000}, [], id="none left"),
    ],
)
def test_objects_are_those_asked_for(options, expected):
    foreground = SPECK | SMALL | LARGE | CUT
    objects = make_objects(find_basins(foreground, PLANE), 2, **options)
    wanted = np.any(expected, axis=0) if expected else np.zeros(SHAPE, bool)
    np.testing.assert_array_equal(objects > 0, wanted)
    assert objects.max() == len(expected) == len(np.unique(objects)) - 1
    assert objects.dtype == np.uint8


def test_a_thing_that_moves_keeps_its_number():
    def frame(shift):
        one = ball(SHAPE, (20, 20 + shift), (10, 10))
        return one | ball(SHAPE, (40, 100 - shift), (10, 10))

    movie = np.stack([frame(0), frame(6), frame(12), np.zeros(SHAPE, bool), frame(12)])
    objects = make_objects(find_basins(movie, PLANE), 2)
    numbers = [np.unique(one[one > 0]).tolist() for one in objects]
    assert numbers == [[1, 2], [1, 2], [1, 2], [], [3, 4]]
    assert [objects[index, 20, 20 + 6 * index] for index in range(3)] == [1, 1, 1]


def test_of_two_daughters_one_has_the_number_of_the_mother():
    mother = ball(SHAPE, (30, 60), (14, 20))
    daughters = ball(SHAPE, (30, 44), (11, 11)) | ball(SHAPE, (30, 76), (13, 13))
    objects = make_objects(find_basins(np.stack([mother, daughters]), PLANE), 2)
    assert np.unique(objects[0]).tolist() == [0, 1]
    assert objects[1, 30, 76] == 1  # the one that lies in more of it
    assert objects[1, 30, 44] == 2


@pytest.fixture(scope="module")
def hierarchy():
    image = noisy(discs() * 0.8)
    return hierarchy_of(image, history=[clusters_of(image)])


def test_the_foreground_can_be_said(hierarchy):
    mask = np.zeros(discs().shape, bool)
    mask[50:70, 40:60] = True
    np.testing.assert_array_equal(hierarchy.objects(mask) > 0, mask)
    np.testing.assert_array_equal(hierarchy.objects(mask.astype(np.uint8) * 7) > 0, mask)
    as_clusters = hierarchy.objects([3])
    assert as_clusters.max() == len(CENTRES)
    np.testing.assert_array_equal(as_clusters, hierarchy.objects())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        pytest.param([], {"split": 2}, SettingError, "split must be", id="split above 1"),
        pytest.param([], {"split": True}, SettingError, "split must be", id="split a bool"),
        pytest.param([], {"split": "no"}, SettingError, "split must be", id="split a word"),
        pytest.param([], {"split": np.nan}, SettingError, "split must be", id="split NaN"),
        pytest.param([], {"min_size": 0}, SettingError, "min_size must", id="size of 0"),
        pytest.param([], {"max_size": 2.5}, SettingError, "max_size must", id="half a pixel"),
        pytest.param(
            [], {"min_size": 9, "max_size": 8}, SettingError, "no object fits", id="none between"
        ),
        pytest.param([], {"exclude_border": 1}, SettingError, "True or False", id="border 1"),
        pytest.param([[7]], {}, SettingError, "1, 2, 3; got", id="no such cluster"),
        pytest.param([[]], {}, SettingError, "list of numbers", id="no cluster"),
        pytest.param([2], {}, SettingError, "list of numbers", id="a number"),
        pytest.param(["nuclei"], {}, SettingError, "list of numbers", id="a word"),
        pytest.param([np.ones((3, 3), bool)], {}, ImageError, "3, 3", id="mask of another shape"),
        pytest.param([noisy(discs())], {}, ImageError, "image > 120", id="an image as a mask"),
        pytest.param([discs().astype(np.uint8) + 9], {}, ImageError, "9 to 10", id="no ground"),
        pytest.param([np.ones((3, 3), int)], {}, ImageError, "3, 3", id="strokes of another shape"),
    ],
)
def test_what_cannot_be_is_refused(hierarchy, arguments, options, error, sentence):
    with pytest.raises(error, match=sentence):
        hierarchy.objects(*arguments, **options)


def strokes_on(image_shape, objects, ground):
    """Return dabs of label 1 at some places, and of label 2 at others."""
    strokes = np.zeros(image_shape, np.uint8)
    for label, places in ((1, objects), (2, ground)):
        for place in places:
            strokes[ball(image_shape, place, (2, 2))] = label
    return strokes


def test_strokes_decide_what_is_an_object():
    each = [ball((112, 112), centre, (11, 11)) for centre in CENTRES]
    bright, dark = np.any(each[:3], axis=0), np.any(each[3:], axis=0)
    image = noisy(0.5 + 0.4 * bright - 0.4 * dark)
    hierarchy = hierarchy_of(image, history=[clusters_of(image)])
    for chosen, other, centres in ((bright, dark, CENTRES), (dark, bright, CENTRES[::-1])):
        strokes = strokes_on(image.shape, centres[:1], [(5, 5), centres[-1]])
        found = hierarchy.objects(strokes=strokes) > 0
        assert (found & chosen).sum() > 0.9 * chosen.sum()
        assert not (found & other).any()


def test_strokes_of_several_kinds_tell_all_of_an_image_apart():
    each = [ball((112, 112), centre, (11, 11)) for centre in CENTRES]
    bright, dark = np.any(each[:3], axis=0), np.any(each[3:], axis=0)
    image = noisy(0.5 + 0.4 * bright - 0.4 * dark)
    hierarchy = hierarchy_of(image, history=[clusters_of(image)])
    strokes = np.zeros(image.shape, np.uint8)
    for label, place in ((2, CENTRES[0]), (9, CENTRES[-1]), (4, (5, 5))):
        strokes[ball(image.shape, place, (2, 2))] = label
    kinds = hierarchy.kinds(strokes)
    expected = np.where(bright, 2, np.where(dark, 9, 4))
    assert (kinds == expected).mean() > 0.97
    np.testing.assert_array_equal(kinds[strokes > 0], strokes[strokes > 0])
    for others in (strokes * 0, (strokes == 9) * strokes):
        with pytest.raises(StrokesError, match="draw on some of two kinds"):
            hierarchy.kinds(others)


def test_a_stroke_is_right_whatever_is_like_it(hierarchy):
    shape = hierarchy.objects().shape
    strokes = strokes_on(shape, CENTRES[:2], [(5, 5), CENTRES[3]])
    objects = hierarchy.objects(strokes=strokes, min_size=1)
    assert objects[strokes == 1].all()
    assert not objects[strokes == 2].any()


@pytest.mark.parametrize(
    ("objects", "ground", "sentence"),
    [
        pytest.param([], [(5, 5)], "draw on objects with label 1", id="on the ground alone"),
        pytest.param([(5, 5)], [], "draw on the ground with label 2", id="on objects alone"),
        pytest.param([], [], "draw on objects with label 1", id="none"),
    ],
)
def test_strokes_must_be_on_objects_and_ground(hierarchy, objects, ground, sentence):
    with pytest.raises(StrokesError, match=sentence):
        hierarchy.objects(strokes=strokes_on(hierarchy.objects().shape, objects, ground))


def test_strokes_must_fit_and_be_alone(hierarchy):
    with pytest.raises(StrokesError, match="expected the labels'"):
        hierarchy.objects(strokes=np.ones((3, 3), np.uint8))
    with pytest.raises(SettingError, match="give one of them"):
        hierarchy.objects([1], strokes=discs())


def test_the_surest_objects_have_the_highest_scores():
    image = noisy(discs() * 0.8)
    image[20:24, 60:90] = 0.8  # a bright line through one of the discs
    image[85:100, 82:99] *= 0.3  # and another disc is dim
    hierarchy = hierarchy_of(image, history=[clusters_of(image)])
    objects = hierarchy.objects(discs() | (image > 0.6))
    scores = hierarchy.score_objects(objects)
    by_centre = [scores["score"][objects[centre] - 1] for centre in CENTRES]
    assert sorted(range(5), key=by_centre.__getitem__)[:2] in ([1, 4], [4, 1])
    assert all(len(column) == objects.max() for column in scores.values())
    assert ((scores["score"] >= 0) & (scores["score"] <= 1)).all()


def test_the_score_of_an_object_is_that_of_its_frames():
    angle = np.zeros((40, 40), bool)
    angle[8:32, 8:14], angle[26:32, 8:32] = True, True
    image = noisy(angle * 0.8)
    alone = hierarchy_of(image, history=[clusters_of(image)])
    of_one = alone.score_objects(alone.objects(angle))
    movie = np.stack([image] * 3)
    movie_axes = normalize_image(split_channels(movie, "tyx"), None, "auto")
    followed = build_hierarchy(movie_axes, [np.stack([clusters_of(image)] * 3)])
    objects = followed.objects(np.stack([angle] * 3))
    assert objects.max() == 1
    of_three = followed.score_objects(objects)
    assert of_one["score"][0] < 0.5
    by_frame = followed.score_objects(objects, by_frame=True)
    for name, column in of_one.items():
        np.testing.assert_allclose(of_three[name], column, atol=0.05)
        assert len(by_frame[name]) == 3
        np.testing.assert_allclose(by_frame[name].mean(), of_three[name], atol=0.05)


def test_scores_by_frame_are_in_the_order_of_measurements(hierarchy):
    objects = hierarchy.objects()
    objects[objects == 1], objects[objects == 3] = 9, 7  # numbers with gaps, as painting leaves
    table = measure_objects(objects, objects[np.newaxis])
    by_frame = hierarchy.score_objects(objects, by_frame=True)
    of_numbers = hierarchy.score_objects(objects)
    for name, column in by_frame.items():
        np.testing.assert_allclose(column, of_numbers[name][table["label"] - 1])


def test_whether_by_frame_is_yes_or_no(hierarchy):
    with pytest.raises(SettingError, match="by_frame"):
        hierarchy.score_objects(hierarchy.objects(), by_frame="t")


def test_the_score_is_the_product_of_what_it_combines(hierarchy):
    scores = hierarchy.score_objects(hierarchy.objects())
    product = np.tanh(2 * scores["contrast"]) * scores["roundness"] ** 2 * scores["stability"]
    np.testing.assert_allclose(scores["score"], product)
    assert scores["score"].min() > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(lambda objects: objects > 0, "whole numbers from 1.*bool", id="a mask"),
        pytest.param(lambda objects: objects * 1.0, "whole numbers from 1.*float64", id="floats"),
        pytest.param(lambda objects: -objects.astype(int), "below 0", id="below 0"),
        pytest.param(lambda objects: objects * 10**9, "relabel_sequential", id="a great number"),
    ],
)
def test_what_are_no_objects_has_no_score(hierarchy, change, sentence):
    with pytest.raises(ImageError, match=sentence):
        hierarchy.score_objects(change(hierarchy.objects().astype(np.int64)))


@pytest.mark.parametrize("objects", [np.ones((3, 3), int), [[1, 0], [0, 1]]])
def test_objects_of_another_image_have_no_score(hierarchy, objects):
    with pytest.raises(ImageError, match="objects have shape"):
        hierarchy.score_objects(objects)


def test_what_does_not_depend_on_an_option_is_not_done_again(monkeypatch):
    searches = []

    def count(foreground, spacing):
        searches.append(foreground)
        return find_basins(foreground, spacing)

    monkeypatch.setattr("napari_unsupseg.regions.hierarchy.find_basins", count)
    image = noisy(discs() * 0.8)
    hierarchy = hierarchy_of(image, history=[clusters_of(image)])
    mask = discs(8)
    for options in ({}, {"split": 0.2}, {"min_size": 5}, {"exclude_border": True}):
        hierarchy.objects(**options)
    assert len(searches) == 1
    for options in ({}, {"split": 0.2}):
        hierarchy.objects(mask, **options)
    assert len(searches) == 2
    mask[:, :50] = False  # the same array, with other pixels
    np.testing.assert_array_equal(hierarchy.objects(mask) > 0, mask)
