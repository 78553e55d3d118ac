"""What happens around a processor: conditions, errors, retries, time limits, records."""

import asyncio
import hashlib
import importlib
import sys
import time

import pytest

from etendue.images import Image, ImageError, TransientError
from etendue.pipeline import Pipeline, Retry, Step
from etendue.pipeline.step import explain
from etendue.processors import Processor, RunContext, run_context


class Tag(Processor):
    """Mark the header."""

    reads = frozenset()
    writes = frozenset({"header.TAG"})
    value: str = "tagged"

    def process(self, image):
        tagged = image.copy()
        tagged.header["TAG"] = self.value
        return tagged


class Failing(Processor):
    """Fail with an error of some kind, after having spoilt its image."""

    kind: str = "ImageError"

    def process(self, image):
        image.header["SPOILT"] = True
        image.data = image.data * 0
        raise {
            "ImageError": ImageError("no stars"),
            "KeyError": KeyError("EXPTIME"),
            "ZeroDivisionError": ZeroDivisionError("division by zero"),
            "MemoryError": MemoryError(),
            "TransientError": TransientError("the service does not answer"),
            "AssertionError": AssertionError("never"),
        }[self.kind]


ERRORS = ["ImageError", "KeyError", "ZeroDivisionError", "MemoryError", "TransientError", "AssertionError"]


class Counting(Processor):
    """Fail for the first calls; the count lies outside, as a processor has no memory."""

    failures: int = 0
    kind: str = "TransientError"

    async def __call__(self, image):
        CALLS.append(time.perf_counter())
        if len(CALLS) <= self.failures:
            raise {"TransientError": TransientError, "ImageError": ImageError}[self.kind]("not yet")
        return image


class Slow(Processor):
    """Wait."""

    seconds: float = 5.0

    async def __call__(self, image):
        CALLS.append(time.perf_counter())
        await asyncio.sleep(self.seconds)
        return image


CALLS: list[float] = []


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@pytest.fixture
def image():
    return Image(data=[[1.0, 2.0]], header={"EXPTIME": 10.0})


def chain(*steps):
    return Pipeline(steps=list(steps))


@pytest.mark.parametrize("kind", ERRORS)
def test_fail_ends_the_image_with_the_error_and_the_step(run, image, kind):
    with pytest.raises(Exception) as caught:
        run(chain(Failing(kind=kind), Tag()), image)
    assert type(caught.value).__name__ == kind
    assert "in step Failing" in caught.value.__notes__


@pytest.mark.parametrize("kind", ERRORS)
def test_warn_goes_on_with_the_image_as_it_was(run, image, kind):
    result = run(chain(Step(processor=Failing(kind=kind), on_error="warn"), Tag()), image)

    assert result.data.tolist() == [[1.0, 2.0]]
    assert "SPOILT" not in result.header
    assert result.header["ETWARN"] == 1
    assert result.header["TAG"] == "tagged"
    assert [(a.step, a.outcome) for a in result.provenance] == [("Failing", "warned"), ("Tag", "done")]
    assert result.provenance[0].message


@pytest.mark.parametrize("kind", ERRORS)
def test_drop_ends_the_image_quietly(run, image, kind):
    context = RunContext()
    with run_context(context):
        assert run(chain(Step(processor=Failing(kind=kind), on_error="drop"), Tag()), image) is None
    assert context.failed_step == "Failing"
    assert context.ended_because


def test_the_input_is_left_as_it_was(run, image):
    with pytest.raises(ImageError):
        run(chain(Failing()), image)
    assert image.data.tolist() == [[1.0, 2.0]]
    assert "SPOILT" not in image.header


def test_a_condition_that_does_not_hold_passes_the_step_over(run, image):
    result = run(chain(Step(processor=Failing(), when={"EXPTIME": "> 30"}), Tag()), image)
    assert [(a.step, a.outcome, a.message) for a in result.provenance] == [
        ("Failing", "skipped", "EXPTIME is 10, not > 30"),
        ("Tag", "done", ""),
    ]


def test_a_condition_that_cannot_be_tested_follows_the_policy(run):
    image = Image(data=[[1.0]], header={"EXPTIME": "long"})
    step = Step(processor=Tag(), when={"exposure_time": "> 3"}, on_error="warn")
    assert run(chain(step), image).provenance[0].outcome == "warned"


def test_what_may_pass_is_tried_again(run, image):
    step = Step(processor=Counting(failures=2), retry=Retry(attempts=3, backoff=0.05))
    assert run(chain(step), image) is not None
    assert len(CALLS) == 3
    assert CALLS[1] - CALLS[0] >= 0.05
    assert CALLS[2] - CALLS[1] >= 0.1


def test_the_last_attempt_counts(run, image):
    with pytest.raises(TransientError, match="not yet"):
        run(chain(Step(processor=Counting(failures=3), retry=Retry(attempts=3, backoff=0))), image)


def test_a_bad_image_is_not_tried_again(run, image):
    step = Step(processor=Counting(failures=1, kind="ImageError"), retry=Retry(attempts=3, backoff=0))
    with pytest.raises(ImageError):
        run(chain(step), image)
    assert len(CALLS) == 1


def test_a_time_limit_ends_each_attempt(run, image):
    step = Step(processor=Slow(), timeout="50 ms", retry={"attempts": 2, "backoff": 0})
    begin = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"not finished within 0.05 s"):
        run(chain(step), image)
    assert time.perf_counter() - begin < 2
    assert len(CALLS) == 2


def test_a_time_limit_follows_the_policy(run, image):
    result = run(chain(Step(processor=Slow(), timeout=0.02, on_error="warn"), Tag()), image)
    assert result.provenance[0].message == "not finished within 0.02 s"


def test_durations_are_written_with_units():
    step = Step(processor=Tag(), timeout="2 min", retry={"backoff": "500 ms"})
    assert (step.timeout, step.retry.backoff) == (120.0, 0.5)
    with pytest.raises(ValueError, match="is not a duration"):
        Step(processor=Tag(), timeout="2 parsecs")


def test_all_parameters_are_recorded(run, image):
    activity = run(chain(Step(processor=Tag(), name="mark")), image).provenance[0]
    assert (activity.step, activity.parameters) == ("mark", {"value": "tagged"})
    assert activity.processor.endswith("Tag")
    assert activity.seconds >= 0


def test_a_new_image_inherits_the_past(run, image):
    def fresh(_image):
        return Image(data=[[7.0]])

    result = run(chain(Tag(), fresh), image)
    assert [a.step for a in result.provenance] == ["Tag", "fresh"]


def test_what_is_no_image_is_an_error_that_names_the_step(run, image):
    with pytest.raises(TypeError, match="a processor returns an Image, or None"):
        run(chain(lambda image: image.data), image)


def test_a_parameter_cannot_have_the_name_of_a_policy():
    class Clash(Processor):
        """Has a parameter of its own called timeout."""

        timeout: float = 3.0

    with pytest.raises(ValueError, match="has a parameter 'timeout', which is a key of every step"):
        Step(processor=Clash())


@pytest.mark.parametrize(
    ("policy", "outcome", "is_tagged"),
    [("fail", None, False), ("warn", "warned", True)],
)
def test_the_rivals_error_policies_are_covered(run, image, policy, outcome, is_tagged):
    """pyobs acceptance 11: a failing step then a tag step; every kind of error, a wrong policy is refused."""
    pipeline = chain(Step(processor=Failing(kind="ZeroDivisionError"), on_error=policy), Tag())
    if outcome is None:
        with pytest.raises(ZeroDivisionError):
            run(pipeline, image)
    else:
        result = run(pipeline, image)
        assert result.provenance[0].outcome == outcome
        assert ("TAG" in result.header) == is_tagged
    with pytest.raises(ValueError, match="on_error"):
        Step(processor=Tag(), on_error="nope")  # type: ignore[arg-type]


def test_a_message_without_end_loses_its_middle():
    told = explain(ValueError("the beginning " + "x" * 1_000_000 + " the end"))

    assert told.startswith("ValueError: the beginning xxx")
    assert "996022 characters are left out" in told
    assert told.endswith("xxx the end")
    assert len(told) < 4100


OWN = """
from etendue.processors import Processor

class Own(Processor):
    def process(self, image):
        return image
"""


def test_two_states_of_code_that_is_not_installed_are_two_versions(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    file = tmp_path / "own_steps.py"
    file.write_text(OWN)
    module = importlib.import_module("own_steps")
    before = Pipeline.of(module.Own())
    known = before.steps[0].version, before.fingerprint

    file.write_text(OWN + "\n# one line more\n")
    after = Pipeline.of(importlib.reload(module).Own())

    assert known[0] == f"own_steps {hashlib.sha256(OWN.encode()).hexdigest()[:12]}"
    assert after.steps[0].version != known[0]
    assert after.fingerprint != known[1]
