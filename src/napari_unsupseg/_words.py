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
        What it is, one of them; an ``s`` makes more of it.

    Returns
    -------
    str
        Number and noun.

    Examples
    --------
    >>> count(1, "cluster"), count(1200, "cluster")
    ('1 cluster', '1,200 clusters')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
