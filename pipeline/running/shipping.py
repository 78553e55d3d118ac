"""How a chain travels to a worker process: as JSON. Nothing is pickled, so nothing hidden travels with it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ...images import EtendueError
from ..errors import ConfigError
from ..pipeline import Pipeline

MAIN_MODULE = "__main__"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as it travels.

    Attributes
    ----------
    text : str
        The chain as JSON, in the form that YAML has.
    main : str or None
        The script to import for processors that are defined in it.
    sequential : bool
        The chain remembers something between images.
    fingerprint : str
        Identifies the chain for a worker that has several.
    """

    text: str
    main: str | None = None
    sequential: bool = False
    fingerprint: str = ""


def pack(pipeline: Pipeline) -> Chain:
    """A chain ready to travel.

    Raises
    ------
    ConfigError
        A worker could not rebuild it, because a processor cannot be imported by name.
    """
    advice = "define it at the top of a module that can be imported, or run the chain with workers=1"
    text = pipeline.model_dump_json()
    if "<locals>" in text or "<lambda>" in text:
        raise ConfigError(
            f"a processor of this chain is defined inside a function, where a worker cannot find it; {advice}"
        )
    script = getattr(sys.modules[MAIN_MODULE], "__file__", None)
    needs_main = f"{MAIN_MODULE}." in text
    if needs_main and script is None:
        raise ConfigError(f"a processor of this chain is defined in a notebook or at a prompt; {advice}")
    try:
        same = unpack(text).fingerprint == pipeline.fingerprint
    except (EtendueError, LookupError, ValidationError) as error:
        raise ConfigError(f"this chain cannot be sent to worker processes: {error}; {advice}") from error
    if not same:
        raise ConfigError(f"this chain cannot be sent to worker processes: it comes back changed; {advice}")
    return Chain(text, str(Path(script).resolve()) if needs_main and script else None, pipeline.sequential)


def unpack(text: str) -> Pipeline:
    """The chain that :func:`pack` packed.

    Raises
    ------
    LookupError
        A processor is not found under its name.
    """
    return Pipeline.model_validate(json.loads(text))
