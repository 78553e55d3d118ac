"""A step: a processor, and what happens around it (condition, errors, retries, time limit)."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SerializeAsAny

from ..images import Image, ImageError
from ..images.provenance import Activity
from ..processors import Processor, RunContext, State, current_run, processor_name
from ..processors.processor import checked_result
from .conditions import Condition
from .durations import Duration


class Retry(BaseModel):
    """How often a step is tried, and how long to wait in between.

    An :class:`ImageError` is never retried: trying again does not help a bad image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: PositiveInt = Field(3, description="how often the step is tried in all")
    backoff: Duration = Field(1.0, description="wait before the second attempt; doubled before each further one")


class Step(BaseModel):
    """A processor with its policy.

    `on_error` covers every exception, not only our own: ``fail`` ends this image with the error; ``warn`` goes on
    with the image as it was before the step, and says so in header and provenance; ``drop`` ends the image quietly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    processor: SerializeAsAny[Processor] = Field(description="what is done")
    name: str = Field("", description="name of the step in messages, overrides and provenance; the class's by default")
    when: Condition | None = Field(None, description="header conditions that must hold, or the step is passed over")
    on_error: Literal["fail", "warn", "drop"] = Field("fail", description="what an exception does to the image")
    retry: Retry = Field(Retry(attempts=1), description="further attempts after an error that may pass")
    timeout: Duration | None = Field(None, description="longest time for one attempt")

    @property
    def label(self) -> str:
        """The step's name, or its class's."""
        return self.name or self.class_name.rpartition(".")[2]

    @cached_property
    def class_name(self) -> str:
        """What ``class:`` says in YAML."""
        return processor_name(type(self.processor))

    @cached_property
    def version(self) -> str:
        """Distribution and version that the processor comes from."""
        return distribution_of(type(self.processor).__module__)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """All parameters of the processor, defaults included, as plain JSON data."""
        return json.loads(self.processor.model_dump_json())


POLICY = tuple(name for name in Step.model_fields if name != "processor")
"""Keys of a step in YAML that belong to the step; all others but ``class`` belong to its processor."""


async def run_step(step: Step, image: Image, state: State | None = None, prefix: str = "") -> Image | None:
    """Take one image through one step, with the step's policy.

    Parameters
    ----------
    step : Step
        What to do.
    image : Image
        Left as it is, even by a processor that misbehaves.
    state : State
        Memory of the step, if its processor is sequential.
    prefix : str
        Names of the enclosing steps, ending in "/".

    Returns
    -------
    Image or None
        The new image with the step in its provenance; None if the image ends here.
    """
    context = current_run()
    name = prefix + step.label
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    begin = time.perf_counter()

    def record(outcome: str, message: str = "") -> Activity:
        seconds = time.perf_counter() - begin
        context.timings.append((name, seconds, outcome))
        inputs, context.inputs = tuple(context.inputs), []
        return Activity(name, step.class_name, step.version, step.parameters, inputs, started, seconds, outcome, message)

    if step.when is not None and (reason := step.when.why_not(image)):
        return image.with_provenance(record("skipped", reason))
    context.activity = Activity(name, step.class_name, step.version, step.parameters, started=started)
    try:
        result = await _attempts(step, image, state, name)
    except Exception as error:
        return _after_error(step, image, error, name, context, record)
    finally:
        context.activity = None
    if result is None:
        context.failed_step, context.ended_because = name, "ended by the step"
        record("ended")
        return None
    if step.processor.composite:
        context.timings.append((name, time.perf_counter() - begin, "done"))
        return _with_history_of(image, result)
    return _with_history_of(image, result).with_provenance(record("done"))


async def _attempts(step: Step, image: Image, state: State | None, name: str) -> Image | None:
    processor = step.processor
    for attempt in range(1, step.retry.attempts + 1):
        try:
            async with asyncio.timeout(step.timeout):
                arguments = (image.copy(), state) if processor.sequential else (image.copy(),)
                if processor.composite:
                    return checked_result(processor, await processor.run_inside(*arguments, prefix=name + "/"))
                return checked_result(processor, await processor(*arguments))
        except TimeoutError as error:
            if attempt == step.retry.attempts:
                limit = "" if step.timeout is None else f" within {step.timeout:g} s"
                raise TimeoutError(str(error) or f"not finished{limit}") from error
        except ImageError:
            raise
        except Exception:
            if attempt == step.retry.attempts:
                raise
        await asyncio.sleep(step.retry.backoff * 2 ** (attempt - 1))
    raise AssertionError("a step is tried at least once")


def _after_error(
    step: Step, image: Image, error: Exception, name: str, context: RunContext, record: Callable[..., Activity]
) -> Image | None:
    message = explain(error)
    if step.on_error == "warn":
        activity = record("warned", message)
        warned = image.with_provenance(activity)
        warned.header["ETWARN"] = (int(warned.header.get("ETWARN", 0)) + 1, "steps that failed and were passed over")
        return warned
    if context.failed_step is None or not context.failed_step.startswith(name + "/"):
        context.failed_step = name
    if step.on_error == "drop":
        record("dropped", message)
        context.ended_because = message
        return None
    record("failed", message)
    if not any(note.startswith("in step ") for note in getattr(error, "__notes__", ())):
        error.add_note(f"in step {name}")
    raise error


def _with_history_of(before: Image, after: Image) -> Image:
    """`after` with the past of `before`, which a processor that makes a new Image does not know."""
    past, present = before.provenance, after.provenance
    if present[: len(past)] == past:
        return after
    return after.with_whole_provenance((*past, *present))


def explain(error: BaseException) -> str:
    """One line that tells a person what went wrong: the message, with the kind of error if it is not one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, ImageError) or (text and isinstance(error, TimeoutError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@cache
def distribution_of(module: str) -> str:
    """Name and version of the installed distribution that a module belongs to; the module's name if there is none."""
    top = module.partition(".")[0]
    names = ("etendue",) if top == "etendue" else tuple(packages_distributions().get(top, ()))
    try:
        return f"{names[0]} {version(names[0])}"
    except (IndexError, PackageNotFoundError):
        return top
