"""What the runner knows and a processor may need: where products go, which files were used.

A processor does not know whether it runs in a notebook, a worker or the daemon. The few facts that it
needs are in the *run context*, a context variable set by the runner for one image; without a runner
there is a default one (products go to the current folder).
"""

import contextvars
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..images import Image, ImageError
from ..images.io import file_checksum
from ..images.provenance import Activity, InputFile

OWN_FOLDER = ".etendue"
"""Folder for a run's own notes and unfinished products, inside the output folder."""


@dataclass
class RunContext:
    """Facts about the run of one image through a chain.

    Attributes
    ----------
    output : Path
        Folder that relative product names refer to.
    destination : Path or None
        Where the products will be in the end, if `output` is only where they wait until all of them are complete. Names
        are then relative to it, and what is there already counts as existing.
    source : Path or None
        The file that the image was read from. It is never overwritten.
    sources : tuple of Path
        All raw input of the run. None of it is ever overwritten.
    claims : Path or None
        Folder where product names are claimed, so that two images of one run cannot write the same file.
    products : list of Path
        What was written, in order; :func:`product_path` fills it.
    inputs : list of InputFile
        Files that the current step used; the pipeline moves them into the step's provenance.
    activity : Activity or None
        The step that is running, for products that are written within it; see :func:`stamped`.
    timings : list of (str, float, str)
        Name, seconds and outcome of each step that ended, in order.
    failed_step : str or None
        Name of the step that failed or ended the image.
    ended_because : str or None
        Why the image ended without a failure.
    owner : str
        Who claims product names, if it is not `source`: an image in memory.
    on_step : callable or None
        Told the name of each step before it starts.
    """

    output: Path = field(default_factory=Path.cwd)
    destination: Path | None = None
    source: Path | None = None
    sources: tuple[Path, ...] = ()
    claims: Path | None = None
    products: list[Path] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    activity: Activity | None = None
    timings: list[tuple[str, float, str]] = field(default_factory=list)
    failed_step: str | None = None
    ended_because: str | None = None
    owner: str = ""
    on_step: Callable[[str], None] | None = None


_current: contextvars.ContextVar[RunContext | None] = contextvars.ContextVar("run_context", default=None)


def current_run() -> RunContext:
    """The context of this run; a fresh default one outside any run."""
    return _current.get() or RunContext()


@contextmanager
def run_context(context: RunContext) -> Iterator[RunContext]:
    """Make `context` the current one."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


@contextmanager
def ensured_run() -> Iterator[None]:
    """Have a context: the runner's, or, where nobody made one, a default one for as long as this lasts."""
    if _current.get() is not None:
        yield
        return
    with run_context(RunContext()):
        yield


def use_file(path: str | Path, role: str) -> Path:
    """Note in the provenance of the current step that a file is used, and as what.

    Raises
    ------
    ImageError
        The file cannot be read.
    """
    path = Path(path)
    context = _current.get()
    if context is not None:
        try:
            context.inputs.append(file_checksum(path, role=role))
        except OSError as error:
            raise ImageError(f"{role} {path} cannot be read: {error.strerror or error}") from error
    return path


def product_path(name: str | Path, *, overwrite: bool = True) -> Path:
    """Where a product goes: below the run's output folder, never on top of raw input or of another image's product.

    Raises
    ------
    ImageError
        A relative name leads outside the output folder, or the name is that of a raw file, belongs to another image
        of this run, or exists and may not be overwritten. With a destination: the name is absolute.
    """
    context = current_run()
    root = context.output.resolve()
    path = (root / name).resolve()
    if not Path(name).is_absolute() and not path.is_relative_to(root):
        raise ImageError(f"product name {str(name)!r} leads out of the output folder {root}")
    final = path if context.destination is None else _final_place(path, root, context.destination)
    if final in _resolved(context.sources) or (context.source is not None and final == context.source.resolve()):
        raise ImageError(f"{final} is raw input and is never overwritten; choose another name or another output folder")
    _claim(final, context)
    if not overwrite and (final.exists() or path.exists()):
        raise ImageError(f"{final} exists; remove it, choose another name, or allow overwriting with overwrite: true")
    if path not in context.products:
        context.products.append(path)
    return path


def _final_place(path: Path, output: Path, destination: Path) -> Path:
    """Where a product that is written to the output folder first will be in the end."""
    root = destination.resolve()
    if not path.is_relative_to(output):
        raise ImageError(
            f"product name '{path}' is absolute: in the daemon products go below its destination {root}; "
            "give a name relative to it"
        )
    name = path.relative_to(output)
    final = (root / name).resolve()
    if not final.is_relative_to(root):
        raise ImageError(f"product name '{name}' leads out of the destination {root} by a symbolic link")
    if name.parts[:1] in ((), (OWN_FOLDER,)):
        raise ImageError(f"product name '{name}' is reserved; choose another one")
    return final


def stamped(image: Image) -> Image:
    """The image with the record of the running step added, so that a product tells of the step that wrote it."""
    activity = current_run().activity
    return image if activity is None else image.with_provenance(activity)


@lru_cache(maxsize=2)
def _resolved(sources: tuple[Path, ...]) -> frozenset[Path]:
    """A night has thousands of raw files, and every product is compared with all of them."""
    return frozenset(source.resolve() for source in sources)


def _claim(path: Path, context: RunContext) -> None:
    """Reserve a product's name for this image among all images of the run."""
    if context.claims is None:
        return
    owner = context.owner or str(context.source or "")
    other = claim_product(path, context.claims, owner)
    if other and other != owner:
        if Path(other).stem == Path(owner).stem:
            advice = "run the folders separately, or put into the filename what tells them apart, like {DATE-OBS|time}"
        else:
            advice = "make the names differ, for example with {stem} or {DATE-OBS|time} in the filename"
            other = Path(other).name
        raise ImageError(f"{path.name} was already written for {other} in this run; {advice}")


def claim_product(path: Path, claims: Path, owner: str) -> str:
    """Reserve a product's name among all images of a run, also in other processes.

    Parameters
    ----------
    path : Path
        The product, resolved.
    claims : Path
        Folder where the names are claimed.
    owner : str
        The image that it is for.

    Returns
    -------
    str
        Whose it is: `owner`, or the image that was there before.
    """
    claim = claims / hashlib.sha256(os.fsencode(path)).hexdigest()
    try:
        descriptor = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return os.fsdecode(claim.read_bytes())
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.fsencode(owner))
    return owner
