"""Blocks of pixels, and moving pixels in arrays."""

import numpy as np


def block_sums(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Sums of blocks of `rows` × `columns` pixels, in float64; incomplete blocks at the end are left out.

    Parameters
    ----------
    values : (..., H, W) array
        Pixels.
    rows, columns : int
        Size of a block [px].

    Returns
    -------
    (..., H // rows, W // columns) array of float64
        One sum for each block.
    """
    height, width = values.shape[-2] // rows, values.shape[-1] // columns
    # Strided slices: several times as fast as reducing a short axis, and no slower for long ones.
    in_rows = values[..., 0 : height * rows : rows, : width * columns].astype(np.float64)
    for row in range(1, rows):
        in_rows += values[..., row : height * rows : rows, : width * columns]
    sums = in_rows[..., 0::columns].copy()
    for column in range(1, columns):
        sums += in_rows[..., column::columns]
    return sums


def block_means(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of blocks, in float32, NaN left out; NaN where a block has nothing else."""
    sums = block_sums(values, rows, columns)
    if not np.isnan(sums).any():
        return (sums / (rows * columns)).astype(np.float32)
    finite = np.isfinite(values)
    count = block_sums(finite, rows, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (block_sums(np.where(finite, values, 0), rows, columns) / count).astype(np.float32)


def shifted(values: np.ndarray, dx: int, dy: int, fill: float) -> np.ndarray:
    """The same pixels `dx` columns and `dy` rows further on; `fill` where nothing comes from."""
    height, width = values.shape[-2:]
    out = np.full_like(values, fill)
    rows_to, rows_from = _overlap(dy, height)
    columns_to, columns_from = _overlap(dx, width)
    out[..., rows_to, columns_to] = values[..., rows_from, columns_from]
    return out


def _overlap(distance: int, length: int) -> tuple[slice, slice]:
    """Target and source of what stays inside an axis."""
    distance = max(-length, min(length, distance))
    if distance >= 0:
        return slice(distance, length), slice(0, length - distance)
    return slice(0, length + distance), slice(-distance, length)
