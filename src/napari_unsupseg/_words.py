"""Words for numbers, as sentences and tables say them."""

import numpy as np

__all__ = ["count"]


def count(number: int | np.integer, noun: str) -> str:
    """Say how many there are of something.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        What it is, one of them; an ``s`` makes more of it, and ``es`` of an ``is``.

    Returns
    -------
    str
        Number and noun.

    Examples
    --------
    >>> count(1, "cluster"), count(1200, "cluster")
    ('1 cluster', '1,200 clusters')
    >>> count(2, "axis")
    '2 axes'
    """
    if number != 1:
        noun = noun.removesuffix("is") + ("es" if noun.endswith("is") else "s")
    return f"{number:,} {noun}"
