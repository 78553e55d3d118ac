"""sep's extraction of sources, with its limits raised where a frame needs it."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...images import ImageError

LIMITS = ((3_000_000, 8_192), (100_000_000, 131_072))
"""Pixels above the threshold and sub-objects at the second and third attempt; sep's own are 300 000 and 1024."""

_limits = threading.Lock()


def extract_sources(data: np.ndarray, threshold: float, options: Mapping[str, Any]) -> np.ndarray:
    """Sources above a threshold.

    Parameters
    ----------
    data : (H, W) array
        Pixels as sep wants them, background subtracted.
    threshold : float
        Limit [standard deviations of the noise, if options have `err`; else unit of `data`].
    options : mapping
        Further arguments of ``sep.extract``.

    Returns
    -------
    structured array
        One row per source, as sep describes it.

    Raises
    ------
    ImageError
        The frame exceeds sep's memory for pixels above the threshold even with the largest limits.

    References
    ----------
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393.
    Barbary, K. 2016, JOSS 1(6), 58.
    """
    import sep

    try:
        return sep.extract(data, threshold, **options)
    except Exception as error:
        if not _is_overflow(error):
            raise
    # The limits are the process's, not the call's, and large ones cost time: they are raised only now, and put back.
    with _limits:
        before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
        try:
            for pixels, objects in LIMITS:
                sep.set_extract_pixstack(max(min(pixels, 2 * data.size), before[0]))
                sep.set_sub_object_limit(objects)
                try:
                    return sep.extract(data, threshold, **options)
                except Exception as error:
                    if not _is_overflow(error):
                        raise
        finally:
            sep.set_extract_pixstack(before[0])
            sep.set_sub_object_limit(before[1])
    raise ImageError(
        "so many pixels are above the threshold that the sources cannot be told apart: "
        "raise threshold, subtract the background, or mask bright and crowded regions"
    )


def _is_overflow(error: Exception) -> bool:
    return "pixel buffer full" in str(error) or "deblending overflow" in str(error)
