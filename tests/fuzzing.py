"""What the fuzz tests share: their numbers of examples and their seed, limits, and broken JSON."""

import contextlib
import copy
import datetime
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

# in every run of the tests the same few examples; tox -e fuzz has many, of any seed from 1
SEED = int(os.environ.get("UNSUPSEG_FUZZ", "0"))
IS_LONG = SEED > 0
SLOWEST = datetime.timedelta(minutes=2)  # of one example: one that takes longer hangs

Place = tuple[str | int, ...]  # the keys that lead to a value of a JSON document

TEXTS = [
    "", " ", ".", "..", "../0", "/", "a", "0", "1", "-1", "nan", "NaN", "inf", "Infinity", "null",
    "<u2", ">f8", "|O", "<U1000000", "uint16", "float64", "x", "Y", "time", "é", "\u2028", "a\nb",
    "\0", "\ud800", "n" * 300, "1e400", "\u0661", "1_000",
]  # fmt: skip
OTHER_VALUES = st.sampled_from(
    [None, True, False, 0, 1, -1, 2, 2.5, -0.0, 2**31, 2**63, 2**64, 10**12, 10**400, 1e-320,
     1e308, float("nan"), float("inf"), float("-inf"), *TEXTS, [], {}, [[]], [None], [1, 2],
     [0, 0], {"": 1}, ["y", "x"], [{"name": "y"}, {"name": "x"}]]
)  # fmt: skip


def fuzzed(n_short: int, n_long: int) -> Callable[[Any], Any]:
    """Have a test that is given strategies try some examples, and more of them in a long run."""

    def decorate(test: Any) -> Any:
        limits = settings(
            max_examples=n_long if IS_LONG else n_short,
            deadline=SLOWEST,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.timeout(3600 if IS_LONG else 300)(seed(SEED)(limits(test)))

    return decorate


def is_one_sentence(text: str) -> bool:
    """Tell whether a text can be shown in one line, and read."""
    return len(text.splitlines()) == 1 and len(text) < 1500


@contextlib.contextmanager
def spare_memory(n_bytes: int) -> Iterator[None]:
    """Let no more memory be taken than some bytes, where the system can see to it."""
    if sys.platform != "linux":
        yield
        return
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def places_in(document: Any, place: Place = ()) -> Iterator[Place]:
    """Yield where each value of a JSON document is, that of the whole first."""
    yield place
    inner = {dict: dict.items, list: enumerate}.get(type(document), lambda _: ())
    for key, value in inner(document):
        yield from places_in(value, (*place, key))


def value_at(document: Any, place: Place) -> Any:
    for key in place:
        document = document[key]
    return document


def like(value: Any) -> list[Any]:
    """Return values that are almost another, or say the same in another type."""
    others: list[Any] = [[value], {"a": value}, str(value)]
    if isinstance(value, str):
        others += [value.upper(), value[:-1], value + "é", list(value)]
    elif isinstance(value, list):
        others += [
            value[::-1],
            value[1:],
            value[:-1],
            value + value[-1:],
            {str(k): v for k, v in enumerate(value)},
        ]
    elif isinstance(value, dict):
        others += [list(value), list(value.items()), {k.upper(): v for k, v in value.items()}]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        others += [-value, value + 1, value - 1, value * 1000, value * 10**6, value // 3]
    return others


@st.composite
def changed_json(draw: Any, document: Any) -> Any:
    """Return a JSON document with one to three of its values removed or replaced by others."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(places_in(document))
        place = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["remove", "other", "like", "like", "elsewhere"]))
        if kind == "remove" and place:
            del value_at(document, place[:-1])[place[-1]]
            continue
        if kind == "elsewhere":
            value = copy.deepcopy(value_at(document, draw(st.sampled_from(places))))
        elif kind == "like":
            value = draw(st.sampled_from(like(value_at(document, place))))
        else:
            value = copy.deepcopy(draw(OTHER_VALUES))
        if place:
            value_at(document, place[:-1])[place[-1]] = value
        else:
            document = value
    return document
