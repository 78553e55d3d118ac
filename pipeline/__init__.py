"""Pipelines: composition, configuration, running, the command line."""
