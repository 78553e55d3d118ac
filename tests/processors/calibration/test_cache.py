"""Values are kept while there is room, made once, and never out of date."""

import threading
import time

from etendue.processors.calibration.cache import ContentCache


def test_the_least_recently_used_value_goes_first():
    cache = ContentCache(limit=20)
    for key in "ab":
        cache.get(key, lambda: "x", lambda _: 10)
    cache.get("a", lambda: "new", lambda _: 10)
    cache.get("c", lambda: "x", lambda _: 10)
    assert cache.get("a", lambda: "new", lambda _: 10) == "x"
    assert cache.get("b", lambda: "new", lambda _: 10) == "new"
    assert cache.used <= 20


def test_what_is_too_large_is_not_kept():
    cache = ContentCache(limit=20)
    assert cache.get("a", lambda: 1, lambda _: 21) == 1
    assert cache.get("a", lambda: 2, lambda _: 21) == 2
    assert cache.used == 0


def test_threads_that_ask_together_make_it_once():
    cache, made = ContentCache(limit=20), []

    def make():
        time.sleep(0.02)
        made.append(1)
        return len(made)

    threads = [threading.Thread(target=cache.get, args=("a", make, lambda _: 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_failure_is_not_kept():
    cache = ContentCache(limit=20)
    for expected in ("division", "fine"):
        try:
            found = cache.get("a", lambda: 1 / 0 if expected == "division" else "fine", lambda _: 1)  # noqa: B023
        except ZeroDivisionError:
            found = "division"
        assert found == expected
