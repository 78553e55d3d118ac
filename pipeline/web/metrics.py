"""Numbers for Prometheus.

What happens now is looked up when it is asked for; how long steps take is counted as images come to an end.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .shapes import Now

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Upper edges [s]."""


class Metrics:
    """Counts what has come to an end, and shows it together with what happens now."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._snapshot = _Snapshot()
        self._registry.register(self._snapshot)
        self._attempts = Counter(
            "etendue_attempts", "Attempts at images, by how they ended", ["chain", "outcome"], registry=self._registry
        )
        self._images = Histogram(
            "etendue_image_seconds",
            "Time of an image in its worker",
            ["chain"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._steps = Histogram(
            "etendue_step_seconds", "Time of a step", ["chain", "step"], buckets=BUCKETS, registry=self._registry
        )

    def observe(self, chain: str, outcome: str, seconds: float, timings: Iterable[tuple[str, float, str]] = ()) -> None:
        """Count an attempt that has come to an end.

        Parameters
        ----------
        chain : str
            Name of the chain.
        outcome : str
            ``done``, ``failed``, ``skipped``, ``retry``, ``interrupted`` …
        seconds : float
            Of the whole attempt [s].
        timings : iterable of (str, float, str)
            Step, seconds and outcome of each step.
        """
        self._attempts.labels(chain, outcome).inc()
        self._images.labels(chain).observe(seconds)
        for step, duration, _ in timings:
            self._steps.labels(chain, step).observe(duration)

    def text(self, now: Now, by_chain: Sequence[tuple[str, str, int]]) -> bytes:
        """Everything, as Prometheus reads it.

        Parameters
        ----------
        now : Now
            What happens now.
        by_chain : sequence of (str, str, int)
            Chain, state and number of jobs.
        """
        self._snapshot.metrics = list(_gauges(now, by_chain))
        return generate_latest(self._registry)


class _Snapshot(Collector):
    def __init__(self) -> None:
        self.metrics: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        yield from self.metrics


def _gauges(now: Now, by_chain: Sequence[tuple[str, str, int]]) -> Iterator[Metric]:
    yield _gauge("etendue_info", "The version", [((now.version,), 1)], ["version"])
    yield _gauge("etendue_up_seconds", "Time since the daemon was started", [((), max(0.0, time.time() - now.started))])
    yield _gauge("etendue_jobs", "Jobs by state", [((state.value,), n) for state, n in now.counts.items()], ["state"])
    yield _gauge(
        "etendue_chain_jobs", "Jobs by chain and state", [((c, s), n) for c, s, n in by_chain], ["chain", "state"]
    )
    yield _gauge("etendue_queue_age_seconds", "Age of the oldest queued job", [((), now.oldest_queued or 0.0)])
    yield _gauge("etendue_images_per_hour", "Images done within the last hour", [((), now.today.per_hour)])
    yield _gauge("etendue_workers", "Worker processes that there can be", [((), now.worker_count)])
    busy = sum(worker.job is not None for worker in now.workers)
    yield _gauge("etendue_workers_busy", "Worker processes that have a job", [((), busy)])
    memory = now.memory
    yield _gauge(
        "etendue_memory_bytes",
        "Memory: limit and use of images in work, resident memory of daemon and workers, what the machine has left",
        [((name,), getattr(memory, name)) for name in ("limit", "used", "daemon", "workers", "available")],
        ["of"],
    )
    yield _gauge(
        "etendue_disk_free_bytes",
        "Space left where something is written",
        [((disk.name,), disk.free) for disk in now.disks if disk.free is not None],
        ["disk"],
    )
    lag = now.loop_lag
    yield _gauge(
        "etendue_loop_lag_seconds",
        "How late the event loop is",
        [(("0.5",), lag.p50), (("0.99",), lag.p99), (("0.999",), lag.p999), (("1",), lag.longest)],
        ["quantile"],
    )
    yield _gauge("etendue_holding", "Reasons why no work at all is begun", [((), len(now.holding))])
    yield _gauge(
        "etendue_held_seconds",
        "For how long a destination could not be written to; only those that cannot be",
        [((hold.destination,), max(0.0, now.time - hold.since)) for hold in now.held],
        ["destination"],
    )
    yield _gauge(
        "etendue_held_jobs",
        "Jobs that wait for a destination which cannot be written to",
        [((hold.destination,), hold.jobs) for hold in now.held],
        ["destination"],
    )
    yield _gauge("etendue_paused", "Pauses in force", [((), len(now.paused))])
    yield _gauge("etendue_daemons_alive", "Daemons on this queue", [((), sum(d.alive for d in now.daemons))])
    yield _gauge(
        "etendue_source_ok", "Whether a source works", [((s.name,), s.state == "ok") for s in now.sources], ["source"]
    )
    yield _gauge(
        "etendue_source_images", "Images since the start", [((s.name,), s.count) for s in now.sources], ["source"]
    )


def _gauge(name: str, about: str, samples: Iterable[tuple[tuple[str, ...], Any]], labels: Sequence[str] = ()) -> Metric:
    made = GaugeMetricFamily(name, about, labels=labels)
    for values, number in samples:
        made.add_metric(values, float(number))
    return made
