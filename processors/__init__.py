"""Processors: one algorithm each, an Image in, an Image out."""

from .computing import compute_inline, off_loop, time_limit
from .context import RunContext, current_run, product_path, run_context, stamped, use_file
from .processor import Processor, State, as_processor
from .registry import UnknownProcessorError, find_processor, processor_name, processors

__all__ = [
    "Processor",
    "RunContext",
    "State",
    "UnknownProcessorError",
    "as_processor",
    "compute_inline",
    "current_run",
    "find_processor",
    "off_loop",
    "processor_name",
    "processors",
    "product_path",
    "run_context",
    "stamped",
    "time_limit",
    "use_file",
]
