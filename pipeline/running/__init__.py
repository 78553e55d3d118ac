"""Running chains over many images: in this process or in worker processes, with a journal, and again from a product."""

from .discover import find_images
from .outcome import Event, Outcome
from .replay import recipe_of, replay
from .results import Results
from .run import arun_pipeline, run_pipeline

__all__ = [
    "Event",
    "Outcome",
    "Results",
    "arun_pipeline",
    "find_images",
    "recipe_of",
    "replay",
    "run_pipeline",
]
