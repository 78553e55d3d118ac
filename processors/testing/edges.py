"""Rules about pixels and sources that are not as one would like them."""

from collections.abc import Iterator

import numpy as np

from ...images import Image
from .bench import Bench, is_sentence
from .examples import STARS, edge_images

MEASURED = ("flux", "peak", "snr", "background", "mag")
"""Beginnings of the names of columns that depend on the light of a source."""

DARKENED = 9
"""Half the side of the box that is darkened to see whether a measurement notices [px]."""


def copes_with_edges(bench: Bench) -> Iterator[str]:
    """On odd images it gives a valid result, or raises an ImageError that says why; never another error."""
    for what, image in edge_images(bench.image).items():
        outcome = bench.run(image)
        if outcome.error is not None and not outcome.refused:
            yield f"on an image with {what} it {outcome.what_happened()}; raise an ImageError, or give a result"
        elif outcome.error is not None and not is_sentence(outcome.error):
            yield f"on an image with {what} its error says {str(outcome.error)!r}; write a sentence"
        elif outcome.error is None and outcome.result is not None and outcome.image is None:
            yield f"on an image with {what} it {outcome.what_happened()}"
        elif outcome.warnings:
            yield f"on an image with {what} numpy warns ({outcome.warnings[0]})"


def ignores_a_bad_pixel(bench: Bench) -> Iterator[str]:
    """One NaN among good pixels does not spoil the result: it is left out like a masked pixel."""
    good = bench.run(bench.image)
    if good.image is None or bench.image.safe_data is None:
        return
    data = bench.image.data.astype(np.float32)
    data[..., data.shape[-2] // 2, 3] = np.nan
    outcome = bench.run(bench.image.replace(data=data))
    if outcome.error is not None:
        yield f"because of one NaN pixel it {outcome.what_happened()}; leave NaN out, as masked pixels are"
        return
    if outcome.image is None:
        return
    spoilt = _nan_share(outcome.image) - _nan_share(good.image)
    if spoilt > 0.05:
        yield f"one NaN pixel turns {spoilt:.0%} of its result into NaN; use nanmedian and the like"
    before, after = good.image.safe_catalog, outcome.image.safe_catalog
    if before is not None and after is not None and len(before) >= 4:
        if len(after) < len(before) / 2:
            yield f"one NaN pixel makes it lose sources: {len(after)} instead of {len(before)}"
        elif len(after) == len(before):
            lost = [name for name in before.colnames if _nans(after[name]) - _nans(before[name]) > len(before) / 2]
            if lost:
                yield f"one NaN pixel turns the column(s) {', '.join(lost)} into NaN for most sources"
    for card in good.image.header.share().cards:
        value = outcome.image.header.get(card.keyword) if card.keyword else None
        if isinstance(value, float) and not np.isfinite(value):
            yield f"one NaN pixel makes the card {card.keyword} {value}"


def integers_give_the_same(bench: Bench) -> Iterator[str]:
    """Integer pixels, as cameras give them, give the same result as floats of the same values."""
    image = bench.image
    if image.safe_data is None:
        return
    counts = np.clip(np.nan_to_num(np.rint(image.data)), 0, 65535).astype(np.uint16)
    floats, integers = (bench.run(image.replace(data=counts.astype(kind))) for kind in (np.float32, np.uint16))
    if integers.error is not None and floats.error is None:
        yield f"on integer pixels it {integers.what_happened()}; on the same numbers as floats it works"
    if floats.image is None or integers.image is None:
        return
    one, other = floats.image.safe_data, integers.image.safe_data
    if (
        one is not None
        and other is not None
        and not _close(one, other, rounding=1.0 if other.dtype.kind in "iu" else 0)
    ):
        yield "integer pixels give another result than floats of the same values: do they wrap around below zero?"
    columns, others = floats.image.safe_catalog, integers.image.safe_catalog
    if columns is not None and others is not None and len(columns) == len(others):
        for name in columns.colnames:
            if columns[name].dtype.kind == "f" and not _close(columns[name], others[name]):
                yield f"integer pixels give another column {name} than floats of the same values"


def follows_the_light(bench: Bench) -> Iterator[str]:
    """x is the column and y the row: sources are found, and measured, where the light is."""
    result = bench.run(bench.image).image
    if result is None or result.safe_catalog is None or bench.image.safe_data is None:
        return
    made = {name for name in bench.writes if name.startswith("catalog")}
    needs = {name for name in bench.may_read if name.startswith("catalog")}
    if not made or not {"x", "y"} <= set(result.catalog.colnames):
        return
    if not needs:
        yield from _found_where_light_is(bench, result)
    elif "data" in bench.may_read:
        yield from _measured_where_light_is(bench, result)


def _found_where_light_is(bench: Bench, result: Image) -> Iterator[str]:
    stars = [(x, y) for x, y, _ in STARS if _is_there(bench.image, x, y)]
    x, y = (np.asarray(result.catalog[name], dtype=float) for name in ("x", "y"))
    if len(stars) < 4 or len(x) < 4:
        return
    right = sum(np.hypot(x - u, y - v).min() < 1.5 for u, v in stars)
    exchanged = sum(np.hypot(y - u, x - v).min() < 1.5 for u, v in stars)
    if right < len(stars) / 2 and exchanged > right:
        yield f"x and y are exchanged: x is the column, y the row ({exchanged} of {len(stars)} stars are at (y, x))"


def _measured_where_light_is(bench: Bench, result: Image) -> Iterator[str]:
    """Darken one star: its values must change, those of far sources must not."""
    catalog = bench.image.safe_catalog
    if catalog is None or len(catalog) != len(result.catalog):
        return
    columns = [
        name
        for name in result.catalog.colnames
        if name.startswith(MEASURED)
        and result.catalog[name].dtype.kind == "f"
        and any(_matches(f"catalog.{name}", pattern) for pattern in bench.writes)
        and not (name in catalog.colnames and _close(catalog[name], result.catalog[name]))
    ]
    x, y, _ = STARS[0]
    if not columns or not _is_there(bench.image, x, y):
        return
    data = bench.image.data.astype(np.float32)
    column, row = round(x), round(y)
    data[row - DARKENED : row + DARKENED + 1, column - DARKENED : column + DARKENED + 1] = np.nanmedian(data)
    darkened = bench.run(bench.image.replace(data=data)).image
    if darkened is None or darkened.safe_catalog is None or len(darkened.catalog) != len(result.catalog):
        return
    distance = np.hypot(np.asarray(catalog["x"]) - x, np.asarray(catalog["y"]) - y)
    star = int(np.argmin(distance))
    noticed = any(_relative_change(result, darkened, name)[star] > 0.05 for name in columns)
    if distance[star] < 1 and not noticed:
        yield (
            f"what it measures ({', '.join(columns[:3])} …) does not depend on the light at a source's x and y: "
            "x is the column and y the row, data[y, x]"
        )


def _matches(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return pattern == "catalog" or fnmatchcase(name, pattern)


def _relative_change(one: Image, other: Image, name: str) -> np.ndarray:
    a, b = (np.asarray(image.catalog[name], dtype=float) for image in (one, other))
    scale = np.maximum(np.abs(a), 1e-12)
    return np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - b) / scale, np.isfinite(a) != np.isfinite(b))


def _is_there(image: Image, x: float, y: float) -> bool:
    """Whether a star of the examples is on the image, which may be one of the author's."""
    data = image.safe_data
    if data is None or data.ndim != 2 or not (3 <= x < data.shape[1] - 3 and 3 <= y < data.shape[0] - 3):
        return False
    column, row = round(x), round(y)
    values = data[np.isfinite(data)]
    return values.size > 0 and bool(data[row, column] > np.median(values) + 3 * np.std(values))


def _nan_share(image: Image) -> float:
    data = image.safe_data
    return 0.0 if data is None or data.dtype.kind != "f" else float(np.isnan(data).mean())


def _nans(column) -> int:
    return int(np.isnan(np.ma.filled(column, np.nan)).sum()) if column.dtype.kind == "f" else 0


def _close(one, other, rounding: float = 0.0) -> bool:
    a, b = (np.ma.filled(np.ma.asarray(values, dtype=float), np.nan) for values in (one, other))
    if a.shape != b.shape:
        return False
    finite = np.isfinite(a)
    scale = float(np.abs(a[finite]).max()) if finite.any() else 0.0
    return np.allclose(a, b, rtol=1e-3, atol=1e-4 * scale + rounding + 1e-12, equal_nan=True)
