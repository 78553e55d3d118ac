"""Which processors there are: our own, and those that plugins announce by entry points."""

import difflib
import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

from .processor import ENTRY_POINT_GROUP, FunctionProcessor, Processor, processor_from_function


class UnknownProcessorError(LookupError):
    """No processor has this name; the message suggests the nearest one."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that announces a processor and cannot deliver it."""

    name: str
    distribution: str
    reason: str


@cache
def _found() -> tuple[Mapping[str, type[Processor]], tuple[Broken, ...]]:
    found: dict[str, type[Processor]] = {}
    origin: dict[str, str] = {}
    broken: list[Broken] = []
    for module in map(importlib.import_module, _files()):
        for name, thing in vars(module).items():
            if _is_public_processor(name, thing) and thing.__module__ == module.__name__:
                found[name], origin[name] = thing, "etendue"
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        distribution = entry.dist.name if entry.dist else "an unknown distribution"
        try:
            processor = _as_class(entry.load())
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way, and that must not stop the others
            broken.append(Broken(entry.name, distribution, f"{type(error).__name__}: {error}"))
            continue
        if entry.name in found and found[entry.name] is not processor:
            reason = f"the name is taken by {origin[entry.name]}"
            broken.append(Broken(entry.name, distribution, reason))
            continue
        found[entry.name], origin[entry.name] = processor, distribution
    for failure in broken:
        warnings.warn(
            f"processor {failure.name} of {failure.distribution} is not available: {failure.reason}", stacklevel=2
        )
    return dict(sorted(found.items())), tuple(broken)


def processors() -> Mapping[str, type[Processor]]:
    """All processors by their name in YAML, sorted. A plugin that cannot be imported is left out, with a warning."""
    return _found()[0]


def broken_plugins() -> tuple[Broken, ...]:
    """Plugins that announce a processor and cannot deliver it."""
    return _found()[1]


def find_processor(name: str) -> type[Processor]:
    """The processor class of a registered name (``SepSourceDetection``) or a dotted path (``mypackage.steps.MyStep``).

    A dotted path may lead to a plain function; its arguments become parameters.

    Raises
    ------
    UnknownProcessorError
        Nothing has this name; the message says what is near or what went wrong.
    """
    if "." not in name:
        if (own := _own(name)) is not None:
            return own
        known = processors()
        if name in known:
            return known[name]
        for failure in broken_plugins():
            if failure.name == name:
                raise UnknownProcessorError(
                    f"processor '{name}' of {failure.distribution} is not available: {failure.reason}"
                )
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f", did you mean '{near[0]}'?" if near else "; 'etendue processors' lists them"
        raise UnknownProcessorError(f"unknown processor '{name}'{hint}")
    module_name, _, attribute = name.rpartition(".")
    try:
        thing = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise UnknownProcessorError(f"cannot import '{name}': {error}") from error
    except AttributeError as error:
        raise UnknownProcessorError(f"module '{module_name}' has no '{attribute}'") from error
    try:
        return _as_class(thing)
    except TypeError as error:
        raise UnknownProcessorError(f"'{name}' is not a processor: {error}") from error


def processor_name(processor: type[Processor]) -> str:
    """The registered name of a processor class, or its dotted path; :func:`find_processor` finds it again."""
    if _own(processor.__name__) is processor:
        return processor.__name__
    # Whoever announces it is of the same distribution. Other plugins, and all our own processors, are not imported.
    family = processor.__module__.partition(".")[0]
    if any(entry.module.partition(".")[0] == family for entry in entry_points(group=ENTRY_POINT_GROUP)):
        for name, known in processors().items():
            if known is processor:
                return name
    return dotted_path(processor)


def dotted_path(processor: type[Processor]) -> str:
    """Module and name of a processor class, or of the function it was made from."""
    source: Any = processor.function if issubclass(processor, FunctionProcessor) else processor
    return f"{source.__module__}.{source.__qualname__}"


def _as_class(thing: Any) -> type[Processor]:
    if isclass(thing) and issubclass(thing, Processor):
        return thing
    if isfunction(thing):
        return processor_from_function(thing)
    raise TypeError(f"expected a Processor class or a function, found {type(thing).__name__}")


CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)


@cache
def _own(name: str) -> type[Processor] | None:
    """One of our own processors. The others are not imported for it: that would take most of a second."""
    for module in _written_in().get(name, ()):
        thing = getattr(importlib.import_module(module), name, None)
        if _is_public_processor(name, thing) and thing.__module__ == module:
            return thing
    return None


@cache
def _written_in() -> Mapping[str, tuple[str, ...]]:
    """Modules in whose text a class of a name is defined."""
    found: dict[str, tuple[str, ...]] = {}
    for module, path in _files().items():
        for name in CLASS.findall(path.read_text(encoding="utf-8")):
            found[name] = (*found.get(name, ()), module)
    return found


@cache
def _files() -> Mapping[str, Path]:
    """Our own modules and their files, sorted; not those that only help to test."""
    package = importlib.import_module(__package__ or "etendue.processors")
    found = {}
    for root in map(Path, package.__path__):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if "testing" not in parts and parts[-1] != "__init__":
                found[".".join((package.__name__, *parts))] = path
    return found


def _is_public_processor(name: str, thing: Any) -> bool:
    return (
        isclass(thing)
        and issubclass(thing, Processor)
        and thing not in (Processor, FunctionProcessor)
        and not name.startswith("_")
        and not getattr(thing, "abstract", False)
    )
