"""The science chain of a night: its calibration, where that looks for masters, and what it finds."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from ...images import Header, ImageError
from ..pipeline import Pipeline, every_step

if TYPE_CHECKING:
    from ...processors.calibration import Calibration

CALIBRATION = "etendue.processors.calibration"
"""The package of the steps that calibrate. It is imported only for chains that have one: it loads numba."""


def calibration_of(pipeline: Pipeline) -> "Calibration | None":
    """The step that calibrates, wherever it is in the chain; None if there is none."""
    steps = [step.processor for step in every_step(pipeline) if _is_calibration(step.processor)]
    if not steps:
        return None
    from ...processors.calibration import Calibration

    return next((step for step in steps if isinstance(step, Calibration)), None)


def with_library(pipeline: Pipeline, library: Path) -> Pipeline:
    """The chain whose steps of calibration look for masters in `library`, unless they name a library themselves."""
    return _changed(pipeline, library)


def library_of(pipeline: Pipeline) -> Path | None:
    """The library that the chain itself names."""
    for step in every_step(pipeline):
        if _is_calibration(step.processor) and (found := getattr(step.processor, "library", None)) is not None:
            return Path(found)
    return None


def masters_for(pipeline: Pipeline, headers: Iterable[Header]) -> list[str]:
    """For each frame a text that changes when the chain would calibrate it with other masters, or with changed ones.

    Parameters
    ----------
    pipeline : Pipeline
        The chain, with its library.
    headers : iterable of Header
        Of raw science frames.
    """
    from ...processors.calibration.library import CalibrationLibrary, Kind

    steps = [step.processor for step in every_step(pipeline) if _is_calibration(step.processor)]
    libraries: dict[Path, CalibrationLibrary] = {}
    given = [getattr(step, name) for step in steps for name in (*get_args(Kind), "master") if hasattr(step, name)]
    fixed = [_state(path) for path in given if isinstance(path, Path)]
    texts = []
    for header in headers:
        found = list(fixed)
        for step in steps:
            folder = getattr(step, "library", None)
            if folder is None:
                continue
            library = libraries.setdefault(folder, CalibrationLibrary([folder]))
            names = {"max_age": "max_age", "side": "when", "exposure_tolerance": "exposure_tolerance",
                     "dark_scale": "dark_scale"}  # fmt: skip
            wishes = {wish: getattr(step, name) for name, wish in names.items() if hasattr(step, name)}
            for kind in get_args(Kind):
                try:
                    found.append(_state(library.find(kind, header, **wishes).path))
                except ImageError:  # none fits
                    found.append(f"no {kind}")
        texts.append("\n".join(found))
    return texts


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path} is not there"
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _is_calibration(value: Any) -> bool:
    own = any(kind.__module__.startswith(CALIBRATION) for kind in type(value).__mro__)
    return own and "library" in type(value).model_fields


def _changed(value: Any, library: Path) -> Any:
    """`value` with the library wherever a step of calibration stands in it; itself if nothing changes."""
    match value:
        case BaseModel():
            update = {}
            for name in type(value).model_fields:
                old = getattr(value, name)
                new = (
                    library if name == "library" and old is None and _is_calibration(value) else _changed(old, library)
                )
                if new is not old:
                    update[name] = new
            return value.model_copy(update=update) if update else value
        case tuple() | list():
            items = [_changed(item, library) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else type(value)(items)
        case dict():
            changed = {key: _changed(item, library) for key, item in value.items()}
            return value if all(changed[key] is value[key] for key in value) else changed
    return value
