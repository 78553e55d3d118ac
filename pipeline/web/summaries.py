"""Jobs of the queue as the answers show them."""

import re
from pathlib import Path
from typing import Any

from ...images.catalog.files import table_suffixes
from ...images.io.registry import format_by_suffix
from ..daemon.queue import Attempt, Job, OutdatedProduct, Product
from .shapes import AttemptInfo, JobSummary, OutdatedInfo, ProductInfo

PICTURES = (".png", ".jpg", ".jpeg")
SHOWN_TEXT = 2000
"""Characters of an error in a list."""

CATALOG = re.compile(r"_cat(alog)?\.fits?(\.gz)?")
"""How chains name catalogues; whether a FITS file holds pixels, only its content tells."""


def summary_of(job: Job) -> JobSummary:
    """What a list says of a job."""
    return JobSummary(**summary_fields(job))


def summary_fields(job: Job) -> dict[str, Any]:
    """The fields of :class:`JobSummary`."""
    facts = job.facts
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "source": job.source,
        "chain": job.chain,
        "label": shown(job.label),
        "path": None if job.path is None else shown(str(job.path)),
        "size": job.size,
        "night": job.night,
        "instrument": shown(job.instrument),
        "object": shown(str(facts.get("object_name") or "")),
        "filter": shown(str(facts.get("filter") or "")),
        "exposure_time": number(facts.get("exposure_time")),
        "attempts": job.attempts,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "changed": job.changed,
        "not_before": job.not_before,
        "seconds": job.seconds,
        "step": shown(job.step),
        "error": shown(job.error)[:SHOWN_TEXT],
        "reason": shown(job.reason)[:SHOWN_TEXT],
    }


def attempt_info(attempt: Attempt) -> AttemptInfo:
    """One attempt, without its log."""
    return AttemptInfo(
        number=attempt.number,
        daemon=str(attempt.daemon),
        started=attempt.started,
        ended=attempt.ended,
        outcome=attempt.outcome,
        step=shown(attempt.step),
        error=shown(attempt.error),
        traceback=shown(attempt.traceback),
        seconds=attempt.seconds,
    )


def product_info(product: Product) -> ProductInfo:
    """What can be done with a product follows from its name."""
    return ProductInfo(
        id=product.id,
        job=product.job,
        name=shown(product.name),
        destination=product.destination,
        size=product.size,
        kind=product_kind(product.name),
    )


def outdated_info(outdated: OutdatedProduct) -> OutdatedInfo:
    """A product, and why it is outdated."""
    told = {"newest": outdated.newest, "reason": outdated.reason}
    return OutdatedInfo(**product_info(outdated.product).model_dump(), **told)


def product_kind(name: str) -> Any:
    """``image``, ``picture``, ``table`` or ``other``."""
    lower = name.lower()
    if lower.endswith(PICTURES):
        return "picture"
    if CATALOG.search(lower):
        return "table"
    if format_by_suffix(Path(name)) is not None:
        return "image"
    return "table" if lower.endswith(table_suffixes()) else "other"


def shown(text: str) -> str:
    """Text that may come from a file name of any bytes, so that it can be written as UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def number(value: Any) -> float | None:
    """A number, or None for everything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
