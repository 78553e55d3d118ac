"""Small pictures of products, to be put into a page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...images import ImageError
from ...images.display import downsample, encode, picture
from ..running.outcome import Outcome
from ..running.results import image_of

LONGEST_SIDE = 360
"""Of a thumbnail [px]."""

MOST = 24
"""Pictures in a report; of more images, some at equal distances are shown."""

QUALITY = 78
PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, and what stands below it."""

    name: str
    caption: str
    source: str


def thumbnails(outcomes: Sequence[Outcome], most: int = MOST) -> list[Thumbnail]:
    """Small JPEG pictures of images that came out of the chain.

    A picture that the chain saved is taken if there is one, since its sources are marked; else one is made of the
    image. Outcomes without either are passed over.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a run.
    most : int
        Number of pictures.
    """
    done = [outcome for outcome in outcomes if outcome.succeeded]
    if len(done) > most:
        done = [done[round(index * (len(done) - 1) / (most - 1))] for index in range(most)]
    made = []
    for outcome in done:
        content = _jpeg(outcome)
        if content is not None:
            source = "data:image/jpeg;base64," + base64.b64encode(content).decode()
            made.append(Thumbnail(outcome.path.name, _caption(outcome), source))
    return made


def _jpeg(outcome: Outcome) -> bytes | None:
    saved = [product for product in outcome.products if product.suffix.lower() in PICTURES]
    try:
        if saved:
            return _shrunk(saved[-1])
        return encode(
            picture(downsample(image_of(outcome).data, LONGEST_SIDE), stretch="asinh"), "jpeg", quality=QUALITY
        )
    except (ImageError, OSError):
        return None  # the product holds no pixels, or somebody has removed it: a page without this picture is right


def _shrunk(path: Path) -> bytes:
    from PIL import Image as Picture

    with Picture.open(path) as opened:
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        small = opened.convert("L" if opened.mode in ("L", "I", "I;16", "1") else "RGB")
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Picture.Resampling.LANCZOS)
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def _caption(outcome: Outcome) -> str:
    facts = outcome.facts
    parts = [str(facts[name]) for name in ("object_name", "filter") if facts.get(name)]
    if "n_sources" in facts:
        parts.append(f"{facts['n_sources']} source{'' if facts['n_sources'] == 1 else 's'}")
    return " · ".join(parts)
