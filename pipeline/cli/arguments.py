"""Arguments that several commands share, and what they mean."""

import re
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..pipeline import Pipeline

ChainArgument = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="A chain: a YAML file, or the name of a built-in one (photometry …).")
]
SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="PATH=VALUE", help="Change a parameter: steps.STEP.KEY=VALUE."),
]
VarOption = Annotated[
    list[str], typer.Option("--var", metavar="NAME=VALUE", help="Give a variable of the chain a value.")
]
ImportOption = Annotated[
    list[str],
    typer.Option("--import", metavar="MODULE", help="Include the processors of a module of yours: mysteps."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

BYTES = {"": 1, "B": 1} | {f"{p}{unit}": 1000**k for k, p in enumerate("kMGT", 1) for unit in ("", "B")}
BYTES |= {f"{p}iB": 1024**k for k, p in enumerate("kMGT", 1)}


def byte_size(text: str) -> int:
    """Bytes from ``4GB``, ``500 MB``, ``2GiB``.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    from ..errors import ConfigError

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    units = {unit.lower(): factor for unit, factor in BYTES.items()}
    if not match or match[2].lower() not in units or float(match[1]) <= 0:
        raise ConfigError(f"--memory: {text!r} is not an amount of memory; write for example 4GB or 500MB")
    return int(float(match[1]) * units[match[2].lower()])


def duration(text: str, option: str) -> float:
    """Seconds from ``90``, ``2 s``, ``5 min``.

    Raises
    ------
    ConfigError
        It is none of these, or not longer than nothing.
    """
    from ..durations import seconds
    from ..errors import ConfigError

    try:
        found = float(seconds(text))
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
    if found <= 0:
        raise ConfigError(f"{option}: {text!r} leaves no time at all; write for example '60 s'")
    return found


def assignments(texts: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` arguments as a mapping.

    Raises
    ------
    ConfigError
        One of them has no ``=``.
    """
    from ..errors import ConfigError

    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"{option} {text}: write it as {option} name=value")
        found[name.strip()] = value.strip()
    return found


def know_local_modules(chain: str | None = None) -> None:
    """Let ``class: mysteps.Invert`` find mysteps.py beside the chain, or in the current folder.

    Both folders come last on the path: a file there never takes the place of an installed module.
    """
    folders = [Path.cwd()]
    if chain is not None and Path(chain).is_file():
        folders.insert(0, Path(chain).resolve().parent)
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)


def load_chain(chain: str, settings: Iterable[str] = (), variables: Iterable[str] = ()) -> "Pipeline":
    """The pipeline that a command's arguments describe.

    Raises
    ------
    ConfigError
        Something is wrong with it; the message has one line for each problem.
    """
    from ..config import load_pipeline

    know_local_modules(chain)
    overrides = list(settings)
    assignments(overrides, "--set")
    return load_pipeline(chain, variables=assignments(variables, "--var"), overrides=overrides)


def import_processors(modules: Iterable[str]) -> dict[str, type]:
    """The processors that modules define, by their dotted path.

    Raises
    ------
    ConfigError
        A module cannot be imported, or defines no processor.
    """
    from ...processors import Processor
    from ..errors import ConfigError

    know_local_modules()
    found: dict[str, type] = {}
    for name in modules:
        try:
            module = import_module(name)
        except Exception as error:
            raise ConfigError(f"--import {name}: {type(error).__name__}: {error}") from error
        own = {
            f"{name}.{key}": thing
            for key, thing in vars(module).items()
            if isinstance(thing, type)
            and issubclass(thing, Processor)
            and thing.__module__ == name
            and not key.startswith("_")
        }
        if not own:
            raise ConfigError(f"--import {name}: {module.__file__} defines no Processor")
        found |= own
    return found
