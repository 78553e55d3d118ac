"""The unit of work: one image, read from its file, through the whole chain, to its products."""

import asyncio
import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.io import fits

from ...images import Image, ImageError
from ...images.io import file_checksum
from ...images.provenance import Activity
from ...processors import RunContext, State, off_loop, run_context
from ..pipeline import Pipeline
from ..step import distribution_of, explain
from .causes import ReplacedError, cause_of
from .measured import masters_of, measured_on
from .outcome import Outcome, Status

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz")
"""Products that hold pixels, or a catalogue alone."""

IMAGE_SUFFIXES = (".tif", ".tiff", ".npy")
"""Products that hold pixels in other formats. Pictures (PNG, JPEG) are not the image any more."""

MEDIAN_SAMPLE = 1 << 16
"""Pixels from which the median of an image is estimated."""

READ = "read"
"""Name of what happens before the first step."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to be taken through a chain: a file, or (inline only) an image in memory.

    With an `identity` (size [byte], time of change [ns]) the file must be that one, before it is read and after.
    """

    index: int
    path: Path
    image: Image | None = None
    identity: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What all images of a run share.

    Attributes
    ----------
    output : Path
        Folder for products.
    claims : Path or None
        Folder where names of products are claimed; None where somebody else sees to it that each belongs to one image.
    sources : tuple of Path
        All raw input of the run; never overwritten.
    read : mapping
        Options for the reader.
    keep : Path or None
        Folder for a copy of each final image that the chain itself does not save.
    destination : Path or None
        Where products will be in the end, if `output` is only where they wait.
    """

    output: Path
    claims: Path | None
    sources: tuple[Path, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)
    keep: Path | None = None
    destination: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; :meth:`from_json` makes the same of it."""
        return {
            "output": str(self.output),
            "claims": None if self.claims is None else str(self.claims),
            "sources": [str(source) for source in self.sources],
            "read": dict(self.read),
            "keep": None if self.keep is None else str(self.keep),
            "destination": None if self.destination is None else str(self.destination),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` described."""
        return cls(
            output=Path(plain["output"]),
            claims=None if plain["claims"] is None else Path(plain["claims"]),
            sources=tuple(Path(source) for source in plain["sources"]),
            read=plain["read"],
            keep=None if plain["keep"] is None else Path(plain["keep"]),
            destination=None if plain["destination"] is None else Path(plain["destination"]),
        )


@dataclass(slots=True)
class _Found:
    """What is known of an image, filled while the work goes on: facts from before its first step, the last step."""

    facts: dict[str, Any] = field(default_factory=dict)
    checksum: str = ""
    step: str = READ


async def take_through(
    pipeline: Pipeline,
    job: Job,
    setting: Setting,
    state: State | None = None,
    *,
    on_step: Callable[[str], None] | None = None,
) -> Outcome:
    """Take one image through the chain. Whatever a step raises becomes a failed outcome.

    Parameters
    ----------
    pipeline : Pipeline
        The chain.
    job : Job
        The image.
    setting : Setting
        What all images of the run share.
    state : State
        Memory of sequential steps.
    on_step : callable
        Told the name of each step before it starts.
    """
    found = _Found()

    def entered(step: str) -> None:
        found.step = step
        if on_step is not None:
            on_step(step)

    context = _context(setting, job.path if job.image is None else None, str(job.path), entered)

    async def work() -> Image | None:
        image = job.image
        if image is None:
            image = await _read(job, pipeline, setting, context)
            found.checksum = image.provenance[-1].inputs[0].sha256
        found.facts = await off_loop(facts_at_start, image)
        return await pipeline(image, state)

    return await _outcome(work, job.path, f"{job.index:06d}.fits", setting, context, found)


async def take_the_rest(
    pipeline: Pipeline,
    setting: Setting,
    state: State,
    *,
    on_step: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """At the end of a run, take what sequential steps still hold (the last stack) through the steps after them."""
    outcomes: list[Outcome] = []
    async for leftover in pipeline.leftovers(state):
        name = f"leftover-{len(outcomes) + 1}"
        context = _context(setting, None, name, on_step)
        outcomes.append(await _outcome(leftover, None, f"{name}.fits", setting, context))
    return outcomes


def _context(setting: Setting, source: Path | None, owner: str, on_step: Callable[[str], None] | None) -> RunContext:
    return RunContext(
        output=setting.output,
        destination=setting.destination,
        source=source,
        sources=setting.sources,
        claims=setting.claims,
        owner=owner,
        on_step=on_step,
    )


async def _outcome(
    work: Callable[[], Awaitable[Image | None]],
    path: Path | None,
    name: str,
    setting: Setting,
    context: RunContext,
    found: _Found | None = None,
) -> Outcome:
    """What becomes of an image; one that was never in a file is called by its own name."""
    found = found or _Found()
    begin = time.perf_counter()
    result: Image | None = None

    def outcome(status: Status, **details: Any) -> Outcome:
        return Outcome(
            path or Path((result and result.name) or "end of the run"),
            status,
            products=tuple(product for product in context.products if product.exists()),
            seconds=time.perf_counter() - begin,
            timings=tuple(context.timings),
            facts={**found.facts, **({} if result is None else facts_at_end(result))},
            checksum=found.checksum,
            **details,
        )

    try:
        with run_context(context):
            result = await work()
        if result is None:
            return outcome("dropped", step=context.failed_step or "", error=context.ended_because or "")
        kept = await _keep(result, name, setting, context)
        return outcome("done", kept=kept, notes=_warnings(result, context))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever went wrong is this image's outcome
        traceback.clear_frames(error.__traceback__)  # and with them, where memory is what is missing, large arrays
        lines = "".join(traceback.format_exception(error))
        cause = cause_of(error, source=context.source, folders=(setting.output, setting.destination))
        step = context.failed_step or found.step
        return outcome("failed", step=step, error=explain(error), traceback=lines, cause=cause)


def _warnings(image: Image, context: RunContext) -> tuple[str, ...]:
    """What the chain went on without, and why."""
    warned = {step for step, _, how in context.timings if how == "warned"}
    return tuple(
        f"went on without {activity.step}: {activity.message}"
        for activity in image.provenance
        if activity.outcome == "warned" and activity.step in warned
    )


async def _read(job: Job, pipeline: Pipeline, setting: Setting, context: RunContext) -> Image:
    """The image of a file, with the file and its checksum as the beginning of its provenance."""
    path = job.path
    if context.on_step is not None:
        context.on_step(READ)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    begin = time.perf_counter()
    how = "failed"
    _check_identity(job)
    checksum = asyncio.get_running_loop().run_in_executor(None, file_checksum, path)
    try:
        image = await off_loop(partial(Image.from_file, path, **setting.read))
        inputs = (await checksum,)
        _check_identity(job)
        how = "done"
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ImageError:
        _check_identity(job)  # a file that is being replaced is not damaged
        raise
    finally:
        await asyncio.gather(checksum, return_exceptions=True)
        seconds = time.perf_counter() - begin
        context.timings.append((READ, seconds, how))
    parameters = {"options": dict(setting.read), "keywords": pipeline.keywords}
    given = {name: value for name, value in parameters.items() if value}
    return image.with_provenance(Activity(READ, READ, distribution_of(__name__), given, inputs, started, seconds))


def _check_identity(job: Job) -> None:
    """Whether the file is still the one that is meant.

    Raises
    ------
    ReplacedError
        It is another one.
    ImageError
        It is not there.
    """
    if job.identity is None:
        return
    try:
        facts = job.path.stat()
    except OSError as error:
        raise ImageError(f"{job.path} cannot be read: {error.strerror or error}") from error
    if (facts.st_size, facts.st_mtime_ns) != job.identity:
        raise ReplacedError(f"{job.path} has been replaced or changed since it was seen")


async def _keep(image: Image, name: str, setting: Setting, context: RunContext) -> Path | None:
    """A copy of the final image, if a copy is wanted and no product holds it."""
    if setting.keep is None or image.safe_data is None or any(map(holds_pixels, context.products)):
        return None
    kept = setting.keep / name
    await off_loop(image.writeto, kept)
    return kept


def holds_pixels(product: Path) -> bool:
    """Whether a product is an image that can be read again; pictures and catalogues are not.

    Raises
    ------
    OSError
        It cannot be read.
    """
    name = product.name.lower()
    if not name.endswith(FITS_SUFFIXES):
        return name.endswith(IMAGE_SUFFIXES)
    with fits.open(product) as units:
        return any(unit.is_image and unit.header.get("NAXIS", 0) > 0 for unit in units)


def facts_at_start(image: Image) -> dict[str, Any]:
    """What an image is before the first step: size, median of the pixels (usually the sky), what the header says."""
    facts: dict[str, Any] = {}
    data = image.safe_data
    if data is not None:
        facts["size"] = list(data.shape)
        step = max(1, round((data.size / MEDIAN_SAMPLE) ** 0.5))
        if (median := _median(data[..., ::step, ::step])) is not None:
            facts["background"] = median
    for fact in ("object_name", "filter", "exposure_time", "observation_time", "image_type"):
        with contextlib.suppress(ImageError):  # an unreadable card is not what this image is about
            value = getattr(image, fact, None)
            if value is not None:
                facts[fact] = value if isinstance(value, int | float | str) else str(value)
    return facts


def facts_at_end(image: Image) -> dict[str, Any]:
    """What was found on an image: n_sources, median fwhm [px] and ellipticity, what was measured, masters used."""
    facts: dict[str, Any] = {**measured_on(image.header), "masters": masters_of(image)}
    catalog = image.safe_catalog
    if catalog is None:
        return facts
    medians = {name: _median(catalog[name]) for name in ("fwhm", "ellipticity") if name in catalog.colnames}
    found = {name: value for name, value in medians.items() if value is not None}
    return facts | {"n_sources": len(catalog)} | found


def _median(values: Any) -> float | None:
    numbers = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    good = numbers[np.isfinite(numbers)]
    return float(np.median(good)) if good.size else None
