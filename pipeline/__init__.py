"""Pipelines: composition, configuration, running, the command line."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .composition import Branch, Case, Fork, Stack
    from .conditions import Condition
    from .config import builtin_chains, json_schema, load_pipeline, parse_pipeline, to_yaml
    from .errors import ConfigError
    from .pipeline import Pipeline
    from .running import Outcome, Results, run_pipeline
    from .step import Retry, Step

__all__ = [
    "Branch",
    "Case",
    "Condition",
    "ConfigError",
    "Fork",
    "Outcome",
    "Pipeline",
    "Results",
    "Retry",
    "Stack",
    "Step",
    "builtin_chains",
    "json_schema",
    "load_pipeline",
    "parse_pipeline",
    "run_pipeline",
    "to_yaml",
]

IMPORTED_WHEN_ASKED_FOR = {
    ".composition": ("Branch", "Case", "Fork", "Stack"),
    ".conditions": ("Condition",),
    ".config": ("builtin_chains", "json_schema", "load_pipeline", "parse_pipeline", "to_yaml"),
    ".errors": ("ConfigError",),
    ".pipeline": ("Pipeline",),
    ".running": ("Outcome", "Results", "run_pipeline"),
    ".step": ("Retry", "Step"),
}
"""The command line must answer at once: nothing is imported before it is needed."""


def __getattr__(name: str) -> Any:
    for module, names in IMPORTED_WHEN_ASKED_FOR.items():
        if name in names:
            return getattr(importlib.import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
