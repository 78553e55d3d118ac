"""The Pipeline: processors in a row, which is a processor again.

>>> pipeline = SubtractBackground() | SepSourceDetection(threshold=5) | SepPhotometry(apertures=[3, 5])
>>> image = await pipeline(image)                 # in async code
>>> images = pipeline.run(paths, workers=2)       # in a script or a notebook
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from ..images import Image
from ..images.io import check_read_options
from ..images.keywords import extra_keywords, keyword_named
from ..processors import Processor, State, as_processor
from ..processors.context import ensured_run
from .night.settings import NightSettings
from .step import POLICY, Leftover, Step, leftovers_of, run_step

if TYPE_CHECKING:
    from .running.results import Results

PLANES_OF_FILES = ("data", "mask", "uncertainty", "raw", "catalog", "header")
"""What a chain may expect of its files."""


def _or_one_card(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = {"anyOf": [{"type": "string"}, schema["additionalProperties"]]}


class Pipeline(Processor):
    """Several steps in a row. It is a processor: chains nest, and whatever works for one works for the other."""

    composite: ClassVar[bool] = True

    name: str = Field("", description="name of the chain")
    description: str = Field("", description="what the chain does, in a sentence")
    keywords: dict[str, list[str]] = Field(
        {}, description="further header keywords: {exposure_time: [XPOSURE]}", json_schema_extra=_or_one_card
    )
    read: dict[str, Any] = Field({}, description="how files are read: options of the reader, for example a FITS layout")
    expects: frozenset[str] = Field(
        frozenset(), description="what the files bring beside data and header: mask, uncertainty, catalog …"
    )
    night: NightSettings | None = Field(
        None, description="for a whole night: how raw frames are sorted and masters built, see `etendue reduce`"
    )
    steps: tuple[Step, ...] = Field(description="the steps, in order")

    step_paths: ClassVar[tuple[tuple[str, ...], ...]] = (("steps",),)

    @field_validator("keywords", mode="before")
    @classmethod
    def _accept_one_card(cls, keywords: Any) -> Any:
        if not isinstance(keywords, Mapping):
            return keywords
        return {name: [cards] if isinstance(cards, str) else cards for name, cards in keywords.items()}

    @field_validator("keywords")
    @classmethod
    def _check_properties(cls, keywords: dict[str, list[str]]) -> dict[str, list[str]]:
        for name in keywords:
            keyword_named(name)
        return keywords

    @field_validator("read")
    @classmethod
    def _check_options(cls, read: dict[str, Any]) -> dict[str, Any]:
        if read:
            check_read_options(read)
        return read

    @field_validator("expects")
    @classmethod
    def _check_planes(cls, expects: frozenset[str]) -> frozenset[str]:
        for item in sorted(expects):
            if item.partition(".")[0] not in PLANES_OF_FILES or item.endswith("?"):
                raise ValueError(f"files bring no '{item}'; they bring {', '.join(PLANES_OF_FILES)}, or catalog.COLUMN")
        return expects

    @field_validator("steps", mode="before")
    @classmethod
    def _accept_processors(cls, steps: Any) -> Any:
        return [as_step(step) for step in steps] if isinstance(steps, list | tuple) else steps

    @model_validator(mode="after")
    def _name_steps(self) -> Self:
        """Step names are unique: the second SepPhotometry is SepPhotometry-2."""
        names = unique_names([step.label for step in self.steps])
        named = (
            step if step.label == name else step.renamed(name) for step, name in zip(self.steps, names, strict=True)
        )
        object.__setattr__(self, "steps", tuple(named))
        return self

    @classmethod
    def of(cls, *things: Any) -> Self:
        """A pipeline of processors, steps, functions and unnamed pipelines (whose steps are taken over)."""
        steps: list[Any] = []
        for thing in things:
            merges = isinstance(thing, Pipeline) and not thing.name
            steps.extend(map(without_number, thing.steps) if merges else (thing,))
        return cls(steps=steps)  # type: ignore[arg-type]

    @classmethod
    def from_yaml(cls, path: str | Path, **options: Any) -> "Pipeline":
        """The chain of a YAML file, or a built-in one by name. Options: see :func:`etendue.pipeline.load_pipeline`."""
        from .config import load_pipeline

        return load_pipeline(path, **options)

    @property
    def sequential(self) -> bool:  # type: ignore[override]
        """Whether a step remembers something between images."""
        return any(step.processor.sequential for step in self.steps)

    async def __call__(self, image: Image, state: State | None = None) -> Image | None:
        """Take an image through all steps; None if it ended on the way.

        `state` is the memory of sequential steps: the same object for all images of a series.
        """
        return await self.run_inside(image, state)

    async def run_inside(self, image: Image, state: State | None = None, *, prefix: str = "") -> Image | None:
        """As ``__call__``; step names are recorded with a prefix."""
        with ensured_run(), self.keywords_known():
            return await self._through(self.steps, image, state, prefix)

    async def _through(
        self, steps: Iterable[Step], image: Image | None, state: State | None, prefix: str
    ) -> Image | None:
        for step in steps:
            if image is None:
                return None
            memory = _memory(step, state) if step.processor.sequential else None
            image = await run_step(step, image, memory, prefix)
        return image

    async def leftovers(self, state: State, *, prefix: str = "") -> AsyncIterator[Leftover]:
        """What sequential steps still hold at the end of a run, each to be taken through the steps after it.

        A runner awaits each of them, in a run context of its own, before it asks for the next:

        >>> async for leftover in pipeline.leftovers(state):
        ...     image = await leftover()
        """
        for number, step in enumerate(self.steps):
            if step.processor.sequential and step.label in state:
                async for leftover in leftovers_of(step, state[step.label], prefix):
                    yield partial(self._finish_one, leftover, number, state, prefix)

    async def _finish_one(self, leftover: Leftover, number: int, state: State, prefix: str) -> Image | None:
        with ensured_run(), self.keywords_known():
            image = await leftover()
            return await self._through(self.steps[number + 1 :], image, state, prefix)

    def run(self, images: Iterable[Any] | str | Path, **options: Any) -> "Results":
        """Take many images through the chain and wait for them. Works in scripts and in notebooks.

        Parameters
        ----------
        images : iterable of paths, or of Image
            What to process; a folder means the images in it.
        **options
            ``workers``, ``output``, ``resume`` …: see :func:`etendue.pipeline.running.arun_pipeline`. Images that
            the chain does not save are kept (``keep``), in a temporary folder, as long as the results live.

        Returns
        -------
        Results
            A sequence of the resulting images, read when they are asked for; ``.failed`` lists the others.
        """
        from .running import run_pipeline

        return run_pipeline(self, images, **{"keep": True, **options})

    @property
    def fingerprint(self) -> str:
        """What identifies the chain's work: a hash of all steps, with versions and resolved parameters."""
        versions = sorted({step.version for step in every_step(self)})
        recipe = json.loads(self.model_dump_json(include={"keywords", "read", "steps"}))
        text = json.dumps([versions, recipe], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __repr__(self) -> str:
        steps = " | ".join(repr(step.processor) for step in self.steps)
        return f"<Pipeline {self.name}: {steps}>" if self.name else steps

    def __or__(self, other: Any) -> "Pipeline":
        return Pipeline.of(self, other)

    def __ror__(self, other: Any) -> "Pipeline":
        return Pipeline.of(other, self)

    def keywords_known(self) -> AbstractContextManager[Any]:
        """The context in which headers are understood as the chain's `keywords` say."""
        return extra_keywords(self.keywords) if self.keywords else nullcontext()


def without_number(step: Step) -> Step:
    """The step as it was before a chain numbered it, so that another chain can number it again."""
    kind = step.class_name.rpartition(".")[2]
    number = step.name.removeprefix(f"{kind}-")
    return step.renamed("") if number != step.name and number.isdecimal() else step


def unique_names(labels: Sequence[str]) -> list[str]:
    """Labels that occur once: a, b, a becomes a, b, a-2."""
    names: list[str] = []
    for label in labels:
        name, count = label, 1
        while name in names or (count > 1 and name in labels):
            count += 1
            name = f"{label}-{count}"
        names.append(name)
    return names


def _memory(step: Step, state: State | None) -> State:
    if state is None:
        raise TypeError(
            f"step {step.label} remembers something between images: call the pipeline with a State, "
            "the same one for all images of a series, or use pipeline.run()"
        )
    return state.setdefault(step.label, State())


def as_step(thing: Any) -> Step:
    """A step from a step, a processor, a function, or a mapping with policy keys and ``processor``.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(thing, Step):
        return thing
    if isinstance(thing, Mapping):
        if "class" in thing:
            return Step.model_validate(thing)
        policy = {key: value for key, value in thing.items() if key in POLICY}
        return Step(processor=as_processor(thing["processor"]), **policy)
    return Step(processor=as_processor(thing))


def inner_chains(processor: Processor) -> Iterator[tuple[tuple[str | int, ...], Pipeline]]:
    """The chains that a composite consists of, each with where it is: ``("cases", 0, "steps")``.

    A composite names the fields that hold steps in its class attribute `step_paths`; ``*`` stands for every item.
    """
    if isinstance(processor, Pipeline):
        yield ("steps",), processor
        return
    for pattern in getattr(type(processor), "step_paths", ()):
        found: list[tuple[tuple[str | int, ...], Any]] = [((), processor)]
        for part in pattern:
            found = [((*where, key), inner) for where, thing in found for key, inner in _items(thing, part)]
        yield from ((where, thing) for where, thing in found if isinstance(thing, Pipeline))


def chain_label(processor: Processor, where: tuple[str | int, ...]) -> str:
    """What the steps of an inner chain have before their names: the case's name or number, the chain's name."""
    if isinstance(processor, Pipeline):
        return ""
    last = str(where[-1])
    if len(where) > 1 and isinstance(index := where[1], int):
        return getattr(getattr(processor, str(where[0]))[index], "name", "") or str(index + 1)
    return last


def _items(thing: Any, part: str) -> Iterator[tuple[str | int, Any]]:
    if part != "*":
        yield part, getattr(thing, part)
    elif isinstance(thing, Mapping):
        yield from thing.items()
    else:
        yield from enumerate(thing)


def every_step(processor: Processor) -> Iterator[Step]:
    """All steps of a composite, also those within its steps, in order."""
    for _, chain in inner_chains(processor):
        for step in chain.steps:
            yield step
            yield from every_step(step.processor)
