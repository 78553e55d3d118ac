"""A step: a processor, and what happens around it (condition, errors, retries, time limit)."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from hashlib import sha256
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from ..images import EtendueError, Image, ImageError
from ..images.provenance import Activity
from ..processors import Processor, RunContext, State, current_run, find_processor, off_loop, processor_name
from ..processors.computing import time_limit
from ..processors.processor import as_processor, checked_result, is_composable
from .conditions import Condition
from .durations import Duration


class Retry(BaseModel):
    """How often a step is tried, and how long to wait in between.

    An :class:`ImageError` is never retried: trying again does not help a bad image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _explain_number(cls, given: Any) -> Any:
        if isinstance(given, int | float | str):
            raise ValueError(f"{given} is not a mapping; write for example {{attempts: 3, backoff: 2 s}}")
        return given

    attempts: PositiveInt = Field(3, description="how often the step is tried in all")
    backoff: Duration = Field(1.0, description="wait before the second attempt; doubled before each further one")


class Step(BaseModel):
    """A processor with its policy.

    `on_error` covers every exception, not only our own: ``fail`` ends this image with the error; ``warn`` goes on
    with the image as it was before the step, and says so in header and provenance; ``drop`` ends the image quietly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    processor: Processor = Field(description="what is done")
    name: str = Field("", description="name of the step in messages, overrides and provenance; the class's by default")
    when: Condition | None = Field(None, description="header conditions that must hold, or the step is passed over")
    on_error: Literal["fail", "warn", "drop"] = Field("fail", description="what an exception does to the image")
    retry: Retry = Field(Retry(attempts=1), description="further attempts after an error that may pass")
    timeout: Annotated[Duration, Field(gt=0)] | None = Field(None, description="longest time for one attempt")

    @model_validator(mode="before")
    @classmethod
    def _from_plain(cls, given: Any) -> Any:
        """A step as YAML writes it: ``class``, policy keys, and parameters of the processor."""
        if not isinstance(given, Mapping) or "class" not in given:
            return given
        policy = {key: value for key, value in given.items() if key in POLICY}
        parameters = {key: value for key, value in given.items() if key not in POLICY and key != "class"}
        processor = find_processor(given["class"])
        if "name" in processor.model_fields:
            parameters["name"] = policy.get("name", "")
        return {"processor": processor.model_validate(parameters), **policy}

    @field_validator("processor", mode="before")
    @classmethod
    def _accept_function(cls, given: Any) -> Any:
        return as_processor(given) if is_composable(given) else given

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """A chain within a chain has one name, not one as a step and another one as a chain."""
        fields = type(self.processor).model_fields
        if "name" in fields:
            name = self.name or self.processor.name  # type: ignore[attr-defined]
            object.__setattr__(self, "name", name)
            object.__setattr__(self, "processor", self.processor.model_copy(update={"name": name}))
        if taken := sorted(RESERVED.intersection(fields)):
            raise ValueError(
                f"{type(self.processor).__name__} has a parameter '{taken[0]}', which is a key of every step; rename it"
            )
        return self

    @model_serializer(mode="wrap")
    def _to_plain(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As YAML writes it: what identifies the processor, the policy where it is not the default, all parameters."""
        policy = {
            key: value
            for key, value in dump(self).items()
            if key in POLICY and getattr(self, key) != type(self).model_fields[key].default
        }
        return {"class": self.class_name, **policy, **self.parameters, **({"name": self.name} if self.name else {})}

    def renamed(self, name: str) -> "Step":
        """The same step under another name."""
        return Step(
            processor=self.processor,
            name=name,
            when=self.when,
            on_error=self.on_error,
            retry=self.retry,
            timeout=self.timeout,
        )

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

NO_IMAGE = "the step returned no image, which ends it here"
"""Why an image has ended, where the step says no more."""

LONGEST_MESSAGE = 4000
"""Characters of an error that are kept."""

RESERVED = frozenset(POLICY) - {"name"} | {"class"}
"""Names that a processor's parameter cannot have. A chain's `name` is also the name of its step."""


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
    if context.on_step is not None:
        context.on_step(name)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    begin = time.perf_counter()

    def record(outcome: str, message: str = "") -> Activity:
        seconds = time.perf_counter() - begin
        context.timings.append((name, seconds, outcome))
        inputs, context.inputs = tuple(context.inputs), []
        return Activity(
            name, step.class_name, step.version, step.parameters, inputs, started, seconds, outcome, message
        )

    context.activity = Activity(name, step.class_name, step.version, step.parameters, started=started)
    context.ended_because = None
    try:
        if step.when is not None and (reason := step.when.why_not(image)):
            return image.with_provenance(record("skipped", reason))
        result = await _attempts(step, image, state, name)
    except Exception as error:  # noqa: BLE001 - the policy covers every exception
        return _after_error(step, image, error, name, context, record)
    finally:
        context.activity = None
    if result is None:
        if not _is_within(context.failed_step, name):
            context.failed_step = name
        context.ended_because = context.ended_because or NO_IMAGE
        record("ended")
        return None
    if not (step.processor.sequential and result.provenance):  # which knows the past of several images
        result = _with_history_of(image, result)
    if step.processor.composite:
        context.timings.append((name, time.perf_counter() - begin, "done"))
        return result
    return result.with_provenance(record("done"))


async def _attempts(step: Step, image: Image, state: State | None, name: str) -> Image | None:
    processor = step.processor
    for attempt in range(1, step.retry.attempts + 1):
        try:
            async with time_limit(step.timeout):
                arguments: tuple[Any, ...] = (image.copy(), state) if processor.sequential else (image.copy(),)
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


Leftover = Callable[[], Awaitable[Image | None]]
"""What a sequential step still holds at the end of a run: awaited, it gives the image."""


async def leftovers_of(step: Step, state: State, prefix: str = "") -> AsyncIterator[Leftover]:
    """What a sequential step still holds at the end of a run."""
    name = prefix + step.label
    if step.processor.composite:
        async for leftover in step.processor.leftovers(state, prefix=name + "/"):  # type: ignore[attr-defined]
            yield leftover
        return
    for finish in step.processor.finish(state):
        yield partial(_finish, step, name, finish)


async def _finish(step: Step, name: str, finish: Callable[[], Image | None]) -> Image | None:
    context = current_run()
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    begin = time.perf_counter()
    try:
        image = checked_result(step.processor, await off_loop(finish))
    except Exception as error:
        context.failed_step = name
        context.timings.append((name, time.perf_counter() - begin, "failed"))
        error.add_note(f"in step {name}")
        raise
    seconds = time.perf_counter() - begin
    if image is None:
        context.timings.append((name, seconds, "ended"))
        context.failed_step, context.ended_because = name, NO_IMAGE
        return None
    context.timings.append((name, seconds, "done"))
    inputs, context.inputs = tuple(context.inputs), []
    return image.with_provenance(
        Activity(name, step.class_name, step.version, step.parameters, inputs, started, seconds)
    )


def _after_error(
    step: Step, image: Image, error: Exception, name: str, context: RunContext, record: Callable[..., Activity]
) -> Image | None:
    message = explain(error)
    if step.on_error == "warn":
        activity = record("warned", message)
        warned = image.with_provenance(activity)
        warned.header["ETWARN"] = (int(warned.header.get("ETWARN", 0)) + 1, "steps that failed and were passed over")
        return warned
    if not _is_within(context.failed_step, name):
        context.failed_step = name
    if step.on_error == "drop":
        record("dropped", message)
        context.ended_because = message
        return None
    record("failed", message)
    if not any(note.startswith("in step ") for note in getattr(error, "__notes__", ())):
        error.add_note(f"in step {name}")
    raise error


def _is_within(step: str | None, name: str) -> bool:
    return step is not None and step.startswith(name + "/")


def _with_history_of(before: Image, after: Image) -> Image:
    """`after` with the past of `before`, which a processor that makes a new Image does not know."""
    past, present = before.provenance, after.provenance
    if present[: len(past)] == past:
        return after
    return after.with_whole_provenance((*past, *present))


def explain(error: BaseException) -> str:
    """One line that tells a person what went wrong: the message, with the kind of error if it is not one of ours.

    What is too long to be read loses its middle: some libraries put all of their input into a message.
    """
    text = " ".join(str(error).split())
    if len(text) > LONGEST_MESSAGE:
        end = LONGEST_MESSAGE // 4
        text = f"{text[: 3 * end]} [… {len(text) - 4 * end} characters are left out …] {text[-end:]}"
    if text and isinstance(error, EtendueError | TimeoutError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def distribution_of(module: str) -> str:
    """Name and version of the installed distribution that a module belongs to.

    For one that was not installed, its name and the beginning of the SHA-256 of its file.
    """
    return _installed(module.partition(".")[0]) or f"{module} {_digest(module)}".rstrip()


@cache
def _installed(top: str) -> str:
    """Name and version of the distribution that has a module or package of this name; empty if there is none."""
    if top == "etendue":
        return f"etendue {version('etendue')}"
    found = next((one for one in distributions() if _provides(one, top)), None)
    return "" if found is None else f"{found.name} {found.version}"


def _digest(module: str) -> str:
    """What tells one state of a module's code from another; empty where the code is in no file."""
    loaded = sys.modules.get(module)
    spec = None if loaded is None else loaded.__spec__
    file = None if spec is None or spec.origin is None else Path(spec.origin)
    return sha256(file.read_bytes()).hexdigest()[:12] if file is not None and file.is_file() else ""


def _provides(distribution: Distribution, top: str) -> bool:
    """Whether a distribution has a module or package of this name.

    `importlib.metadata.packages_distributions` tells the same of all names, and takes a quarter of a second for it.
    """
    if listed := distribution.read_text("top_level.txt"):
        return top in listed.split()
    record = distribution.read_text("RECORD") or ""
    return re.search(rf"^{re.escape(top)}(/|\.[^/,]+,)", record, re.MULTILINE) is not None
