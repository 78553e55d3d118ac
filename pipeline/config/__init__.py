"""Chains as YAML: reading with compiler-like errors, writing, and the JSON Schema that editors complete from."""

from .document import builtin_chains
from .dump import to_yaml
from .load import load_pipeline, parse_pipeline
from .schema import json_schema

__all__ = ["builtin_chains", "json_schema", "load_pipeline", "parse_pipeline", "to_yaml"]
