"""Choose what happens to an image by what it is."""

from collections.abc import AsyncIterator
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...images import Image, ImageError
from ...processors import Processor, State
from ..conditions import Condition
from ..step import Leftover
from .chain import Chain


class Case(BaseModel):
    """One way of a :class:`Branch`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", description="what messages and provenance call the case; its number by default")
    when: Condition = Field(description='what must hold, for example {image_type: dark} or {EXPTIME: "> 30"}')
    steps: Chain = Field(description="what happens then")


class Branch(Processor):
    """Choose a chain by header, plane or property: the first case whose condition holds.

    .. code-block:: yaml

        - class: Branch
          cases:
            - when: {image_type: dark}
              steps: [{class: Save, filename: "darks/{stem}.fits"}]
            - when: {exposure_time: "> 30"}
              steps: [{class: CosmicRays}]
          otherwise: pass

    What the steps inside do is recorded under ``Branch/<case>/``.
    """

    composite: ClassVar[bool] = True
    step_paths: ClassVar[tuple[tuple[str, ...], ...]] = (("cases", "*", "steps"), ("otherwise",))

    cases: tuple[Case, ...] = Field(min_length=1, description="conditions with steps; the first that holds is taken")
    otherwise: Literal["pass", "drop", "fail"] | Chain = Field(
        "pass", description="when no case holds: pass the image on, drop it, fail, or steps", union_mode="left_to_right"
    )

    @model_validator(mode="after")
    def _name_cases(self) -> "Branch":
        names = [case.name or str(number) for number, case in enumerate(self.cases, 1)]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two cases are called '{min(doubled)}'")
        if wrong := [name for name in names if "/" in name or name == "otherwise"]:
            raise ValueError(f"a case cannot be called '{wrong[0]}'")
        return self

    @property
    def sequential(self) -> bool:  # type: ignore[override]
        """Whether a step inside remembers something between images."""
        return any(chain.sequential for _, chain in self._chains())

    def _chains(self) -> list[tuple[str, Chain]]:
        chains = [(case.name or str(number), case.steps) for number, case in enumerate(self.cases, 1)]
        return chains if isinstance(self.otherwise, str) else [*chains, ("otherwise", self.otherwise)]

    async def __call__(self, image: Image, state: State | None = None) -> Image | None:
        """Take the image through the first case that holds."""
        return await self.run_inside(image, state)

    async def run_inside(self, image: Image, state: State | None = None, *, prefix: str = "") -> Image | None:
        """As ``__call__``; step names are recorded with a prefix.

        Raises
        ------
        ImageError
            No case holds, and `otherwise` is ``fail``.
        """
        reasons = []
        for (name, chain), case in zip(self._chains(), self.cases, strict=False):
            if not (reason := case.when.why_not(image)):
                return await self._take(name, chain, image, state, prefix)
            reasons.append(f"{name}: {reason}")
        match self.otherwise:
            case "pass":
                return image
            case "drop":
                return None
            case "fail":
                raise ImageError(f"{image.label} fits no case ({'; '.join(reasons)})")
        return await self._take("otherwise", self.otherwise, image, state, prefix)

    async def _take(self, name: str, chain: Chain, image: Image, state: State | None, prefix: str) -> Image | None:
        memory = None if state is None else state.setdefault(name, State())
        return await chain.run_inside(image, memory, prefix=f"{prefix}{name}/")

    async def leftovers(self, state: State, *, prefix: str = "") -> AsyncIterator[Leftover]:
        """What sequential steps inside still hold at the end of a run."""
        for name, chain in self._chains():
            if name in state:
                async for leftover in chain.leftovers(state[name], prefix=f"{prefix}{name}/"):
                    yield leftover
