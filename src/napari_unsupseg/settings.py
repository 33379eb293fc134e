"""Every setting of the algorithm once, with its range, and presets of those that go together."""

import contextlib
import dataclasses
import difflib
import numbers
import reprlib
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from napari_unsupseg.errors import SettingError

__all__ = [
    "GROUPS",
    "NETWORK_SIZE",
    "PRESETS",
    "IntensityRule",
    "Precision",
    "Preset",
    "SettingSpec",
    "Settings",
    "preset_values",
    "setting_specs",
]

Group = Literal["Network", "Superpixels and continuity", "Stopping", "Device", "Output"]
Precision = Literal["auto", "float32", "bfloat16"]
IntensityRule = Literal["auto", "percentile", "range"]

GROUPS: tuple[Group, ...] = get_args(Group)  # headings, in the order to show them
NETWORK_SIZE = ("components", "filters", "max_clusters")  # what a trained network cannot change


@dataclasses.dataclass(frozen=True)
class SettingSpec:
    """What panel, command line and documentation need to know of one setting to offer it.

    Attributes
    ----------
    group : str
        One of `GROUPS`, the heading that it is shown under.
    kind : type
        `int`, `float` or `str`.
    default : int, float or str
        Value if nobody chooses another.
    symbol : str
        Symbol in Kanezaki (2018), empty if the paper has none.
    sentence : str
        One sentence for tooltips, the command line and the documentation.
    minimum, maximum : int, float or None
        Smallest and greatest value allowed; None for a choice of words.
    choices : tuple of str
        Words allowed; empty for a number.
    """

    group: Group
    kind: type
    default: Any
    symbol: str
    sentence: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The values allowed, in words."""
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        noun = "a whole number" if self.kind is int else "a number"
        return f"{noun} from {self.minimum:,} to {self.maximum:,}"

    def check(self, name: str, value: Any) -> Any:
        """Return `value` as this setting's type, or raise a `SettingError` that names the range."""
        # numbers of NumPy count too; True is an integer to Python, and a mistake here
        accepted = {int: numbers.Integral, float: numbers.Real, str: str}[self.kind]
        if isinstance(value, accepted) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):  # there are whole numbers beyond any float
                value = self.kind(value)
            if value in self.choices if self.choices else self.minimum <= value <= self.maximum:
                return value
        label = f"{name} ({self.symbol})" if self.symbol else name
        raise SettingError(f"{label} must be {self.allowed}, got {reprlib.repr(value)}")


def _setting(
    group: Group, default: Any, symbol: str, sentence: str, *bounds: float, **extra: Any
) -> Any:
    """Return a field of `Settings` with its `SettingSpec`; its type is that of its default."""
    kind = type(default)
    minimum, maximum = bounds or (None, None)
    spec = SettingSpec(group, kind, default, symbol, sentence, minimum, maximum, **extra)
    return dataclasses.field(default=default, metadata={"spec": spec})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides the labels of an image, apart from the image and the device.

    The defaults were chosen on photographs of BSDS500 and on micrographs, see
    ``docs/quality.md``; the preset ``'paper-2018'`` has those of [1]_.

    Parameters
    ----------
    {parameters}

    Raises
    ------
    SettingError
        If a value has the wrong type or lies outside its range.

    References
    ----------
    .. [1] A. Kanezaki, "Unsupervised image segmentation by backpropagation",
       IEEE ICASSP 2018, pp. 1543-1547. :doi:`10.1109/ICASSP.2018.8462533`
    .. [2] W. Kim, A. Kanezaki, M. Tanaka, "Unsupervised learning of image segmentation based on
       differentiable feature clustering", IEEE TIP 29 (2020). :doi:`10.1109/TIP.2020.3011269`

    Examples
    --------
    >>> Settings(iterations=50).iterations
    50
    >>> Settings(components=9)
    Traceback (most recent call last):
    napari_unsupseg.errors.SettingError: components (M) must be a whole number from 1 to 5, got 9
    """

    iterations: int = _setting(
        "Stopping",
        150,
        "T",
        "Greatest number of training iterations, 500 in the paper; labels settle in fewer.",
        1,
        1_000_000,
    )
    components: int = _setting(
        "Network",
        2,
        "M",
        "Convolution components in the network; more of them look at a wider neighbourhood.",
        1,
        5,
    )
    filters: int = _setting(
        "Network",
        32,
        "p",
        "Filters in each convolution, the width of the network; 100 in the paper.",
        1,
        1024,
    )
    networks: int = _setting(
        "Network",
        3,
        "",
        "Networks, each from first weights of its own: the first gives the clusters, and what all "
        "of them tell apart decides where segments end.",
        1,
        100,
    )
    max_clusters: int = _setting(
        "Network",
        32,
        "q",
        "Clusters to begin with, 100 in the paper; those that nobody needs die out.",
        2,
        65_535,
    )
    min_clusters: int = _setting(
        "Stopping",
        0,
        "",
        "Stop as soon as no more clusters than this are left; 0 never stops.",
        0,
        65_535,
    )
    final_clusters: int = _setting(
        "Output",
        12,
        "",
        "Greatest number of clusters at the end, where segments that look alike share one; 0 keeps "
        "the network's own clusters, as a run without settle always does.",
        0,
        65_535,
    )
    min_size: int = _setting(
        "Output",
        0,
        "",
        "Smallest segment in pixels; smaller ones are merged into the neighbour they resemble most "
        "when the run ends.",
        0,
        100_000_000,
    )
    settle: float = _setting(
        "Stopping",
        0.02,
        "",
        "Train at reduced size until fewer than this fraction of pixels change cluster in ten "
        "iterations, then finish on parts of it at full size; 0 (or None in Python) trains for "
        "all iterations at full size, as the paper does.",
        0.0,
        1.0,
    )
    balance: float = _setting(
        "Network",
        0.0,
        "",
        "How far the pixels of small clusters count more: 0 counts every pixel alike, as the paper "
        "does, 1 every cluster.",
        0.0,
        1.0,
    )
    superpixels: int = _setting(
        "Superpixels and continuity",
        10_000,
        "K",
        "Superpixels, in each of which all pixels are drawn to one cluster; 0 has none.",
        0,
        100_000_000,
    )
    compactness: float = _setting(
        "Superpixels and continuity",
        10.0,
        "",
        "Compactness of the superpixels: high gives squares, low follows the image's edges.",
        0.01,
        100_000.0,
    )
    continuity: float = _setting(
        "Superpixels and continuity",
        0.0,
        "",
        "Weight of the mean difference of neighbouring pixels' responses in the loss (μ of Kim et "
        "al. 2020), which draws them to one cluster without superpixels or beside them.",
        0.0,
        1000.0,
    )
    stroke_weight: float = _setting(
        "Network",
        0.5,
        "",
        "Weight in the loss of the pixels under strokes (scribbles; ν of Kim et al. 2020), all of "
        "them together, where all other pixels together weigh 1.",
        0.0,
        1000.0,
    )
    learning_rate: float = _setting(
        "Network", 0.1, "", "Learning rate of stochastic gradient descent.", 0.001, 10.0
    )
    momentum: float = _setting(
        "Network", 0.9, "", "Momentum of stochastic gradient descent.", 0.0, 0.999
    )
    seed: int = _setting(
        "Network",
        0,
        "",
        "Seed of the network's first weights; same seed, same labels.",
        0,
        2**31 - 1,
    )
    intensity: IntensityRule = _setting(
        "Network",
        "auto",
        "",
        "How intensities are brought to 0…1: by each channel's 0.1 and 99.9 percentiles, by the "
        "range of the data type, or auto (range for 8-bit RGB, percentiles for all else).",
        choices=get_args(IntensityRule),
    )

    precision: Precision = _setting(
        "Device",
        "auto",
        "",
        "How many digits the network computes with: about seven (float32) or three (bfloat16); "
        "auto takes bfloat16 on a GPU that is fast at it, else float32.",
        choices=get_args(Precision),
    )

    def __post_init__(self) -> None:
        """Check every value against its range, wherever it came from."""
        # object.__setattr__, since the class is frozen
        if self.settle is None:  # as good a word for never as 0
            object.__setattr__(self, "settle", 0)
        for name, spec in setting_specs().items():
            object.__setattr__(self, name, spec.check(name, getattr(self, name)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build settings from names and values.

        Parameters
        ----------
        values : mapping of str to int, float or str
            Settings by name; those left out keep their default.

        Returns
        -------
        Settings
            The settings, checked.

        Raises
        ------
        SettingError
            If a name is unknown (the nearest is suggested) or a value not allowed.

        Examples
        --------
        >>> Settings.from_dict({"iteration": 50})
        Traceback (most recent call last):
        napari_unsupseg.errors.SettingError: unknown setting 'iteration'; did you mean 'iterations'?
        """
        for name in values:
            if name not in setting_specs():
                raise SettingError(f"unknown setting {name!r}; {_suggest_name(name)}")
        return cls(**values)

    @classmethod
    def from_preset(cls, preset: str, values: Mapping[str, Any]) -> Self:
        """Build settings from those of a preset and others.

        Parameters
        ----------
        preset : str
            Name of a preset.
        values : mapping of str to int, float or str
            Settings by name, which go before those of the preset.

        Returns
        -------
        Settings
            The settings, checked.

        Raises
        ------
        SettingError
            If there is no such preset, a name is unknown or a value not allowed.

        Examples
        --------
        >>> Settings.from_preset("paper-2020", {"iterations": 50}).continuity
        5.0
        """
        return cls.from_dict({**preset_values(preset), **values})

    def to_dict(self) -> dict[str, int | float | str]:
        """Return names and values, as `from_dict` and JSON take them.

        Returns
        -------
        dict of str to int, float or str
            Every setting by name.
        """
        return dataclasses.asdict(self)


def _fill_in_parameters(settings: type[Settings]) -> None:
    """Fill in the parameters of the class's docstring, so that no setting is described twice."""
    lines = []
    for name, spec in setting_specs().items():
        paper = f" *{spec.symbol}* in the paper." if spec.symbol else ""
        lines += [
            f"{name} : {spec.kind.__name__}, default {spec.default!r}",
            f"    {spec.sentence}{paper} {spec.allowed[0].upper()}{spec.allowed[1:]}.",
        ]
    if settings.__doc__:  # python -OO has none
        settings.__doc__ = settings.__doc__.replace("{parameters}", "\n    ".join(lines))


def setting_specs() -> dict[str, SettingSpec]:
    """Return what there is to know of every setting, by name, in the order to show them.

    Returns
    -------
    dict of str to SettingSpec
        One for each setting.
    """
    return {field.name: field.metadata["spec"] for field in dataclasses.fields(Settings)}


def _suggest_name(name: str) -> str:
    """Say which setting an unknown name may stand for, or which there are."""
    nearest = difflib.get_close_matches(name, setting_specs(), n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(setting_specs())}"


@dataclasses.dataclass(frozen=True)
class Preset:
    """Some settings; all others keep their default.

    Attributes
    ----------
    sentence : str
        What it is for.
    values : mapping of str to int, float or str
        Settings by name.
    """

    sentence: str
    values: Mapping[str, Any]


# what both papers have otherwise than the defaults
_OF_BOTH_PAPERS = {
    "iterations": 500,
    "networks": 1,
    "filters": 100,
    "max_clusters": 100,
    "settle": 0.0,
    "final_clusters": 0,
}

PRESETS = {
    "standard": Preset("Suits most images.", {}),
    "paper-2018": Preset(
        "The algorithm of Kanezaki (ICASSP 2018) as it was published; slow.",
        _OF_BOTH_PAPERS,
    ),
    "paper-2020": Preset(
        "Continuity in place of superpixels, as in Kim et al. (IEEE TIP 2020); slow.",
        {**_OF_BOTH_PAPERS, "superpixels": 0, "continuity": 5.0, "min_clusters": 3},
    ),
}


def preset_values(name: str) -> dict[str, Any]:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    dict of str to int, float or str
        Settings by name; those left out keep their default.

    Raises
    ------
    SettingError
        If there is no such preset.

    Examples
    --------
    >>> preset_values("paper-2020")["continuity"]
    5.0
    """
    if name not in tuple(PRESETS):  # a list or a dict cannot be looked up
        raise SettingError(f"preset must be one of {', '.join(map(repr, PRESETS))}, got {name!r}")
    return dict(PRESETS[name].values)


_fill_in_parameters(Settings)
