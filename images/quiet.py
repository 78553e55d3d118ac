"""Other libraries' warnings, held back for a moment."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block nobody warns, and astropy logs errors only.

    Both settings belong to the whole process: two threads that change them and change them back in turn would leave
    them changed for good. So one thread at a time may be in such a block; keep it short.
    """
    log = logging.getLogger("astropy")
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
