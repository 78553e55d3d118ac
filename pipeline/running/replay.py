"""Run again what made a product, from the record that lies in it."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...images import Image, ImageError
from ...images.io import file_checksum
from ...images.provenance import Activity, InputFile
from ...processors import UnknownProcessorError
from ..errors import ConfigError
from ..pipeline import Pipeline
from ..step import Retry, Step
from .one_image import READ
from .results import Results
from .run import run_pipeline

PATIENCE = Retry(attempts=3)
"""Records tell no policies, and what depends on a network may need more than one attempt as it did before."""


def recipe_of(product: str | Path) -> Pipeline:
    """The chain that made a product: the steps that were done, in order, with the parameters they had.

    Steps that were skipped by their condition, or failed and were passed over, are left out: they did nothing to
    this product. Steps that came after the product was written are not in its record.

    Parameters
    ----------
    product : path
        A file written by Etendue.

    Raises
    ------
    ImageError
        The file has no record.
    ConfigError
        A processor of the record is not installed, or does not accept its parameters any more; one line for each.
    """
    product = Path(product)
    record = _record(product)
    steps: list[Step] = []
    problems: list[str] = []
    for activity in record:
        if activity.processor == READ or activity.outcome != "done":
            continue
        try:
            step = {"class": activity.processor, **activity.parameters, "name": activity.step, "retry": PATIENCE}
            steps.append(Step.model_validate(step))
        except (UnknownProcessorError, ValidationError) as error:
            problems.append(f"{product}: step {activity.step} cannot be made again: {error}")
            continue
        if steps[-1].version != activity.version:
            warnings.warn(
                f"{product.name}: step {activity.step} was made by {activity.version}, and {steps[-1].version} is "
                "installed; the result may differ",
                stacklevel=2,
            )
    if problems:
        raise ConfigError("\n".join(problems))
    if not steps:
        raise ImageError(f"{product} was read and saved, and no step is in its record: there is nothing to run again")
    reading = _reading(record, product).parameters
    return Pipeline(
        name=f"replay of {product.name}",
        keywords=reading.get("keywords", {}),
        read=reading.get("options", {}),
        steps=tuple(steps),
    )


def replay(product: str | Path, *, output: str | Path, source: str | Path | None = None, **options: Any) -> Results:
    """Make a product again: the same steps with the same parameters, on the same input.

    Parameters
    ----------
    product : path
        A file written by Etendue.
    output : path
        Folder for the new product; not that of the old one.
    source : path
        Where the raw file lies now; for a stack, the folder of its files. By default where the record says.
    **options
        As for :func:`etendue.pipeline.running.run_pipeline`.

    Raises
    ------
    ImageError
        The file has no record.
    ConfigError
        An input is missing or has changed, a step cannot be made again, or the new product would replace the old.
    """
    product, output = Path(product), Path(output)
    if output.resolve() == product.resolve().parent:
        raise ConfigError(f"{output}: {product.name} lies there and would be replaced; choose another output folder")
    record = _record(product)
    pipeline = recipe_of(product)
    raw, used = _inputs(record, product)
    images = [_located(file, Path(source) if source is not None else None) for file in raw]
    if problems := [
        problem for file, path in [*images, *((f, Path(f.path)) for f in used)] if (problem := _differs(file, path))
    ]:
        raise ConfigError("\n".join(problems))
    return run_pipeline(pipeline, [path for _, path in images], output=output, **options)


def _record(product: Path) -> tuple[Activity, ...]:
    try:
        record = Image.from_file(product).provenance
    except FileNotFoundError:
        raise ConfigError(f"{product}: there is no such file") from None
    if not record:
        raise ImageError(f"{product} has no record of how it was made (no PROVENANCE table)")
    return record


def _reading(record: Iterable[Activity], product: Path) -> Activity:
    for activity in record:
        if activity.processor == READ and activity.inputs:
            return activity
    raise ImageError(f"{product} was made of an image that was never in a file: it cannot be made again")


def _inputs(record: tuple[Activity, ...], product: Path) -> tuple[list[InputFile], list[InputFile]]:
    """The raw images, and the other files that were used. A stack's record names the raw files of all its images."""
    read = _reading(record, product).inputs[0]
    later = [file for activity in record if activity.processor != READ for file in activity.inputs]
    stacked = [file for file in later if file.role == read.role]
    raw = list(dict.fromkeys(stacked)) if read in stacked else [read]
    return raw, list(dict.fromkeys(file for file in later if file not in raw))


def _located(file: InputFile, source: Path | None) -> tuple[InputFile, Path]:
    """A raw file, and where it lies now."""
    if source is None:
        return file, Path(file.path)
    return file, source / Path(file.path).name if source.is_dir() else source


def _differs(file: InputFile, path: Path) -> str:
    """Why a file is not the one that was used; empty if it is."""
    try:
        now = file_checksum(path)
    except OSError as error:
        return f"{path}: {file.role} cannot be read ({error.strerror or error}); say with source where it lies now"
    if (now.size, now.sha256) != (file.size, file.sha256):
        return f"{path}: this is not the {file.role} that was used, or it has changed since"
    return ""
