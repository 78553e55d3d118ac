"""Numbers for Prometheus, read back with its own parser."""

import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from etendue.pipeline.daemon.queue import JobState, Record
from tests.pipeline.web.demo import DemoService


def samples(page: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = page.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_jobs_are_counted_by_state_and_chain(service: DemoService, page: Any):
    for _ in range(3):
        service.add("a.fits")
    service.end(JobState.FAILED, Record(error="bad"))

    found = samples(page)

    assert found["etendue_jobs", (("state", "failed"),)] == 1
    assert found["etendue_chain_jobs", (("chain", "photometry"), ("state", "failed"))] == 1
    assert found["etendue_workers", ()] == 2
    assert found["etendue_loop_lag_seconds", (("quantile", "0.999"),)] == 0.0043
    assert found["etendue_memory_bytes", (("of", "limit"),)] == 8e9
    assert found["etendue_disk_free_bytes", (("disk", "products"),)] == 210e9
    assert found["etendue_source_ok", (("source", "mqtt"),)] == 0
    assert found["etendue_queue_age_seconds", ()] >= 0


def test_held_destinations_are_told_as_long_as_they_are(service: DemoService, page: Any):
    assert not [name for name, _ in samples(page) if name.startswith("etendue_held")]
    service.held = [{"destination": "web", "reason": "no room", "since": time.time() - 300, "jobs": 41}]

    found = samples(page)

    assert found["etendue_held_jobs", (("destination", "web"),)] == 41
    assert 300 <= found["etendue_held_seconds", (("destination", "web"),)] < 360
    assert found["etendue_holding", ()] == 0


def test_attempts_and_steps_are_counted_as_they_end(service: DemoService, page: Any):
    service.metrics.observe("photometry", "done", 0.3, [("read", 0.02, "done"), ("Save", 0.2, "done")])
    service.metrics.observe("photometry", "failed", 0.1, [("read", 0.04, "done")])

    found = samples(page)

    chain = ("chain", "photometry")
    assert found["etendue_attempts_total", (chain, ("outcome", "done"))] == 1
    assert found["etendue_step_seconds_count", (chain, ("step", "read"))] == 2
    assert found["etendue_step_seconds_bucket", (chain, ("le", "0.025"), ("step", "read"))] == 1
    assert abs(found["etendue_step_seconds_sum", (chain, ("step", "read"))] - 0.06) < 1e-12
    assert found["etendue_image_seconds_count", (chain,)] == 2


def test_a_hostile_name_cannot_forge_a_number(service: DemoService, page: Any):
    name = 'x"} 1\netendue_jobs{state="failed"} 99\n#'
    service.metrics.observe(name, "done", 0.1)

    found = samples(page)

    assert found["etendue_jobs", (("state", "failed"),)] == 0
    assert found["etendue_attempts_total", (("chain", name), ("outcome", "done"))] == 1
