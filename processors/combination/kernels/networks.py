"""Sorting networks: which rows of a stack are compared, and in which order, so that each column ends up sorted.

A comparator (i, j) leaves the smaller value in row i and the larger one in row j. A network does the same comparisons
whatever the values are, so one comparator treats a whole row of pixels with two vector instructions.

References
----------
Batcher, K. E. 1968, AFIPS Spring Joint Computing Conference 32, 307; Knuth, D. E. 1998, The Art of Computer
Programming, vol. 3, 2nd ed., section 5.3.4.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

Comparator = tuple[int, int]


@lru_cache(maxsize=64)
def sorting_network(count: int) -> np.ndarray:
    """Comparators that sort `count` rows (odd-even merge sort).

    Parameters
    ----------
    count : int
        Number of rows.

    Returns
    -------
    (K, 2) int64 array
        Comparators in order; K is 32 for 10 rows, 178 for 30 and 1077 for 100.
    """
    return _as_array(_odd_even_merge_sort(count))


@lru_cache(maxsize=64)
def median_network(count: int) -> np.ndarray:
    """The part of :func:`sorting_network` that the one or two middle rows depend on."""
    return _as_array(needed_for(_odd_even_merge_sort(count), middle_rows(count)))


@lru_cache(maxsize=64)
def valley_network(count: int) -> np.ndarray:
    """Comparators that sort rows which fall first and rise then, as the distances of sorted values from a centre do."""
    return _as_array(_bitonic_merge(count))


@lru_cache(maxsize=64)
def valley_median_network(count: int) -> np.ndarray:
    """The part of :func:`valley_network` that the one or two middle rows depend on."""
    return _as_array(needed_for(_bitonic_merge(count), middle_rows(count)))


def middle_rows(count: int) -> tuple[int, int]:
    """The rows whose mean is the median of `count` sorted rows; the same twice if `count` is odd."""
    return (count - 1) // 2, count // 2


def needed_for(network: Sequence[Comparator], rows: Iterable[int]) -> list[Comparator]:
    """The comparators of a network that the result in some rows depends on."""
    wanted = set(rows)
    kept = []
    for pair in reversed(network):
        if wanted.intersection(pair):
            wanted.update(pair)
            kept.append(pair)
    return kept[::-1]


def _odd_even_merge_sort(count: int) -> list[Comparator]:
    network = []
    merged = 1
    while merged < count:
        distance = merged
        while distance >= 1:
            for start in range(distance % merged, count - distance, 2 * distance):
                network += [
                    (i, i + distance)
                    for i in range(start, min(start + distance, count - distance))
                    if i // (2 * merged) == (i + distance) // (2 * merged)
                ]
            distance //= 2
        merged *= 2
    return network


def _bitonic_merge(count: int) -> list[Comparator]:
    # Rows that are missing to a power of two would hold infinity and stay where they are.
    distance = 1 << max(count - 1, 0).bit_length()
    network = []
    while (distance := distance // 2) >= 1:
        network += [(i, i + distance) for i in range(count - distance) if not i & distance]
    return network


def _as_array(network: Sequence[Comparator]) -> np.ndarray:
    array = np.array(network, dtype=np.int64).reshape(-1, 2)
    array.flags.writeable = False
    return array
