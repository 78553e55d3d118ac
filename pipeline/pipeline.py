"""The Pipeline: processors in a row, which is a processor again.

>>> pipeline = SubtractBackground() | SepSourceDetection(threshold=5) | SepPhotometry(apertures=[3, 5])
>>> image = await pipeline(image)                 # in async code
>>> images = pipeline.run(paths, workers=2)       # in a script or a notebook
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from ..images import Image
from ..images.keywords import extra_keywords
from ..processors import Processor, State, as_processor
from .step import POLICY, Step, run_step

if TYPE_CHECKING:
    from .running.results import Results


class Pipeline(Processor):
    """Several steps in a row. It is a processor: chains nest, and whatever works for one works for the other."""

    composite: ClassVar[bool] = True

    name: str = Field("", description="name of the chain")
    description: str = Field("", description="what the chain does, in a sentence")
    keywords: dict[str, list[str]] = Field({}, description="further header keywords: {exposure_time: [XPOSURE]}")
    steps: tuple[Step, ...] = Field(description="the steps, in order")

    @field_validator("steps", mode="before")
    @classmethod
    def _accept_processors(cls, steps: Any) -> Any:
        return [as_step(step) for step in steps] if isinstance(steps, list | tuple) else steps

    @model_validator(mode="after")
    def _name_steps(self) -> Self:
        """Step names are unique: the second SepPhotometry is SepPhotometry-2."""
        taken: dict[str, int] = {}
        named = []
        for step in self.steps:
            count = taken[step.label] = taken.get(step.label, 0) + 1
            named.append(step if count == 1 else step.model_copy(update={"name": f"{step.label}-{count}"}))
        object.__setattr__(self, "steps", tuple(named))
        return self

    @classmethod
    def of(cls, *things: Any) -> Self:
        """A pipeline of processors, steps, functions and unnamed pipelines (whose steps are taken over)."""
        steps: list[Any] = []
        for thing in things:
            steps.extend(thing.steps if isinstance(thing, Pipeline) and not thing.name else (thing,))
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
        current: Image | None = image
        with self._keywords_known():
            for step in self.steps:
                memory = _memory(step, state) if step.processor.sequential else None
                current = await run_step(step, current, memory, prefix)
                if current is None:
                    return None
        return current

    def run(self, images: Iterable[Any] | str | Path, **options: Any) -> "Results":
        """Take many images through the chain and wait for them. Works in scripts and in notebooks.

        Parameters
        ----------
        images : iterable of paths, or of Image
            What to process; a folder means the images in it.
        **options
            ``workers``, ``output``, ``resume`` …: see :func:`etendue.pipeline.running.run_pipeline`.

        Returns
        -------
        Results
            A sequence of the resulting images, read when they are asked for; ``.failed`` lists the others.
        """
        from .running import run_pipeline

        return run_pipeline(self, images, **options)

    @property
    def fingerprint(self) -> str:
        """What identifies the chain's work: a hash of all steps, with versions and resolved parameters."""
        recipe = [
            [step.class_name, step.version, json.loads(step.model_dump_json())] for step in self.steps
        ]
        text = json.dumps([self.keywords, recipe], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __or__(self, other: Any) -> "Pipeline":
        return Pipeline.of(self, other)

    def __ror__(self, other: Any) -> "Pipeline":
        return Pipeline.of(other, self)

    def _keywords_known(self) -> AbstractContextManager[Any]:
        return extra_keywords(self.keywords) if self.keywords else nullcontext()


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
        policy = {key: value for key, value in thing.items() if key in POLICY}
        return Step(processor=as_processor(thing["processor"]), **policy)
    return Step(processor=as_processor(thing))
