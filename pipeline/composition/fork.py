"""Several chains on the same image, at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

from pydantic import Field, model_validator

from ...images import Image, ImageError
from ...processors import Processor, RunContext, State, current_run, run_context
from ..step import Leftover
from .chain import Chain


class Fork(Processor):
    """Take copies of an image through several chains at once; the image itself goes on unchanged.

    .. code-block:: yaml

        - class: Fork
          chains:
            picture: [{class: SavePicture}]
            archive: [{class: Save, filename: "archive/{stem}.fits"}]

    An error in one chain is an error of the step when all chains have ended; steps inside may say ``on_error: warn``.
    With `keep`, the result of that chain goes on in place of the image; an image that ends there ends here.
    """

    composite: ClassVar[bool] = True
    step_paths: ClassVar[tuple[tuple[str, ...], ...]] = (("chains", "*"),)

    chains: dict[str, Chain] = Field(min_length=1, description="for each chain its name and its steps")
    keep: str | None = Field(None, description="the chain whose result goes on; by default the image as it came")

    @model_validator(mode="after")
    def _check_names(self) -> "Fork":
        if wrong := [name for name in self.chains if not name or "/" in name]:
            raise ValueError(f"a chain cannot be called {wrong[0]!r}")
        if self.keep is not None and self.keep not in self.chains:
            raise ValueError(f"keep: there is no chain '{self.keep}'; there are {', '.join(self.chains)}")
        return self

    @property
    def sequential(self) -> bool:  # type: ignore[override]
        """Whether a step inside remembers something between images."""
        return any(chain.sequential for chain in self.chains.values())

    async def __call__(self, image: Image, state: State | None = None) -> Image | None:
        """Take copies through all chains."""
        return await self.run_inside(image, state)

    async def run_inside(self, image: Image, state: State | None = None, *, prefix: str = "") -> Image | None:
        """As ``__call__``; step names are recorded with a prefix.

        Raises
        ------
        ImageError
            Two chains wrote the same file.
        """
        here = current_run()
        # Each chain notes its files and its running step for itself, or they would get each other's.
        contexts = {name: replace(here, products=[], inputs=[], timings=[]) for name in self.chains}
        runs = [self._one(name, image, state, prefix, contexts[name]) for name in self.chains]
        results = dict(zip(self.chains, await asyncio.gather(*runs, return_exceptions=True), strict=True))
        for context in contexts.values():
            here.products.extend(product for product in context.products if product not in here.products)
            here.timings.extend(context.timings)
        failures = {name: result for name, result in results.items() if isinstance(result, BaseException)}
        for name, failure in failures.items():
            here.failed_step = contexts[name].failed_step
            for other in failures.keys() - {name}:
                failure.add_note(f"chain {other} failed too: {failures[other]}")
            raise failure
        _check_products(contexts)
        if self.keep is None:
            return image
        here.failed_step, here.ended_because = contexts[self.keep].failed_step, contexts[self.keep].ended_because
        return results[self.keep]  # type: ignore[return-value]

    async def _one(
        self, name: str, image: Image, state: State | None, prefix: str, context: RunContext
    ) -> Image | None:
        memory = None if state is None else state.setdefault(name, State())
        with run_context(context):
            return await self.chains[name].run_inside(image.copy(), memory, prefix=f"{prefix}{name}/")

    async def leftovers(self, state: State, *, prefix: str = "") -> AsyncIterator[Leftover]:
        """What sequential steps inside still hold at the end of a run."""
        for name, chain in self.chains.items():
            if name in state:
                async for leftover in chain.leftovers(state[name], prefix=f"{prefix}{name}/"):
                    yield leftover if name == self.keep else partial(_aside, leftover)


async def _aside(leftover: Leftover) -> None:
    await leftover()


def _check_products(contexts: dict[str, RunContext]) -> None:
    writers: dict[object, str] = {}
    for name, context in contexts.items():
        for product in context.products:
            if product in writers:
                raise ImageError(
                    f"chains {writers[product]} and {name} both wrote {product.name}; make their filenames differ"
                )
            writers[product] = name
