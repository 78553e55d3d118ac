"""Sky background on a mesh of boxes, after SExtractor."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...images import ImageError


@dataclass(frozen=True)
class Background:
    """Level and noise of the sky, known on a mesh and computed for pixels when asked.

    Attributes
    ----------
    level_mesh, rms_mesh : (ny, nx) float64 arrays
        Level and standard deviation of the sky in each box, filled and median-filtered.
    box : (int, int)
        Height and width of a box [px].
    shape : (int, int)
        Rows and columns (H, W) of the image.
    usable : int
        Number of pixels that are neither masked nor NaN.
    """

    level_mesh: np.ndarray
    rms_mesh: np.ndarray
    box: tuple[int, int]
    shape: tuple[int, int]
    usable: int

    @cached_property
    def global_level(self) -> float:
        """Median level of the boxes."""
        return float(np.median(self.level_mesh))

    @cached_property
    def global_rms(self) -> float:
        """Median standard deviation of the boxes in which there is any; 0 for a frame without noise."""
        noisy = self.rms_mesh[self.rms_mesh > 0]
        return float(np.median(noisy)) if noisy.size else 0.0

    def level(self) -> np.ndarray:
        """The level at each pixel, (H, W) float32."""
        return self._map(self.level_mesh)

    def rms(self) -> np.ndarray:
        """The standard deviation of the sky at each pixel, (H, W) float32."""
        return np.maximum(self._map(self.rms_mesh), 0.0)

    def subtract_from(self, data: np.ndarray) -> np.ndarray:
        """`data` minus the level, as a new array; float64 stays float64, everything else becomes float32."""
        if data.dtype == np.float64:
            return data - self.level()
        return self._map(self.level_mesh, np.ascontiguousarray(data, dtype=np.float32))

    def level_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The level at 0-based positions, (N,); outside the image that of the nearest pixel."""
        return self._at(self.level_mesh, x, y)

    def rms_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The standard deviation of the sky at 0-based positions, (N,)."""
        return np.maximum(self._at(self.rms_mesh, x, y), 0.0)

    def _at(self, mesh: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        from .spline import spline_weights

        inside = [
            np.clip(np.nan_to_num(np.asarray(position, dtype=np.float64)), 0, length - 1)
            for position, length in zip((y, x), self.shape, strict=True)
        ]
        row, down = spline_weights(inside[0], self.box[0], mesh.shape[0])
        column, across = spline_weights(inside[1], self.box[1], mesh.shape[1])
        left, right = column, np.minimum(column + 1, mesh.shape[1] - 1)
        values, bends = self._between_rows(mesh, row, down)
        n = np.arange(len(column))
        return (
            across[0] * values[n, left]
            + across[1] * values[n, right]
            + (across[2] * bends[n, left] + across[3] * bends[n, right])
        )

    def _between_rows(self, mesh: np.ndarray, row: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The spline and its second derivative along x at the mesh's columns, for N positions in y: (N, nx) each."""
        from .spline import curvature_operator

        # einsum and not @: a product of small matrices would wake BLAS's threads, which spin on for a while.
        down, along = curvature_operator(mesh.shape[0]), curvature_operator(mesh.shape[1])
        next_row = np.minimum(row + 1, mesh.shape[0] - 1)

        def interpolated(nodes: np.ndarray) -> np.ndarray:
            bent = np.einsum("ij,jk->ik", down, nodes)
            return (
                weights[0, :, None] * nodes[row]
                + weights[1, :, None] * nodes[next_row]
                + weights[2, :, None] * bent[row]
                + weights[3, :, None] * bent[next_row]
            )

        return interpolated(mesh), interpolated(np.einsum("ij,kj->ik", mesh, along))

    def _map(self, mesh: np.ndarray, data: np.ndarray | None = None) -> np.ndarray:
        from .spline import spline_rows, spline_weights

        height, width = self.shape
        nx = mesh.shape[1]
        values, bends = self._between_rows(mesh, *spline_weights(np.arange(height), self.box[0], mesh.shape[0]))
        cell, weights = spline_weights(np.arange(width), self.box[1], nx)
        starts = np.append(np.searchsorted(cell, np.arange(max(nx - 1, 1))), width).astype(np.int64)
        out = np.empty(self.shape, dtype=np.float32)
        spline_rows(
            values.astype(np.float32),
            bends.astype(np.float32),
            starts,
            weights.astype(np.float32),
            np.empty((0, 0), dtype=np.float32) if data is None else data,
            data is not None,
            out,
        )
        return out


def background(
    data: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    box_size: int = 64,
    filter_size: int = 3,
    sigma: float = 3.0,
) -> Background:
    """Sky level and noise of an image.

    Each box of the mesh gives a clipped mode; boxes of which more than half is masked are filled from their nearest
    neighbours; a median filter over the mesh removes what bright sources left; a bicubic spline leads from the
    centres of the boxes to the pixels.

    Parameters
    ----------
    data : (H, W) array
        Pixels. NaN and infinity are left out.
    mask : (H, W) array
        Pixels to leave out (non-zero).
    box_size : int
        Side of a box [px].
    filter_size : int
        Side of the median filter [boxes]; 1 switches it off.
    sigma : float
        Clipping limit of the box statistics [standard deviations].

    Returns
    -------
    Background
        The mesh; its methods give the maps.

    Raises
    ------
    ImageError
        There is no usable pixel.

    Notes
    -----
    The statistics are those of SExtractor and sep, on a histogram of fixed fineness. The results agree to a few
    hundredths of the sky's standard deviation in a box (the statistical error of a box is of this size) and, unlike
    sep, the kernels run without Python's lock.

    References
    ----------
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393.
    Barbary, K. 2016, JOSS 1(6), 58 (sep).
    """
    from .mesh import box_statistics

    height, width = data.shape
    if not data.size:
        raise ImageError(f"an image of shape {data.shape} has no pixels, so no sky can be measured")
    box = min(box_size, height), min(box_size, width)
    level = np.empty((-(-height // box[0]), -(-width // box[1])))
    noise = np.empty_like(level)
    usable = box_statistics(
        np.ascontiguousarray(data, dtype=np.float32), bytes_of(mask), box[0], box[1], float(sigma), level, noise
    )
    if not usable:
        raise ImageError("every pixel is masked or NaN, so no sky can be measured; check the mask and the frame itself")
    if np.isnan(level).all():
        # Nowhere is half a box usable: the few usable pixels give one level for all.
        good = np.isfinite(data) if mask is None else np.isfinite(data) & (mask == 0)
        strip = np.ascontiguousarray(data[good], dtype=np.float32)[None, :]
        level, noise = np.empty((1, 1)), np.empty((1, 1))
        box = height, width
        box_statistics(strip, bytes_of(None), 1, strip.size, float(sigma), level, noise)
    level, noise = filled(level), filled(noise)
    if filter_size > 1:
        level, noise = median_filtered(level, filter_size), median_filtered(noise, filter_size)
    return Background(level, noise, box, (height, width), int(usable))


def bytes_of(mask: np.ndarray | None) -> np.ndarray:
    """A mask of bool or of flags as (H, W) uint8, non-zero where excluded; (0, 0) without one."""
    if mask is None:
        return np.empty((0, 0), dtype=np.uint8)
    if mask.dtype in (np.bool_, np.uint8):
        return np.ascontiguousarray(mask).view(np.uint8)
    return (mask != 0).view(np.uint8)


def filled(mesh: np.ndarray) -> np.ndarray:
    """A mesh whose NaN boxes have the mean of their nearest boxes that are not NaN."""
    empty = np.isnan(mesh)
    if not empty.any():
        return mesh
    result = mesh.copy()
    known = np.argwhere(~empty)
    for box in np.argwhere(empty):
        distances = ((known - box) ** 2).sum(axis=1)
        nearest = known[distances == distances.min()]
        result[tuple(box)] = mesh[tuple(nearest.T)].mean()
    return result


def median_filtered(mesh: np.ndarray, size: int) -> np.ndarray:
    """Median over `size` x `size` boxes.

    Towards the border the window shrinks on both sides alike, so that a gradient does not become a bias.
    """
    reach = size // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(mesh, reach, constant_values=np.nan), (size, size)).copy()
    offsets = np.abs(np.arange(size) - reach)
    rows, columns = (offsets <= np.minimum(np.arange(n), n - 1 - np.arange(n))[:, None] for n in mesh.shape)
    windows[~(rows[:, None, :, None] & columns[None, :, None, :])] = np.nan
    ordered = np.sort(windows.reshape(*mesh.shape, -1), axis=-1)  # NaN last
    number = np.count_nonzero(~np.isnan(ordered), axis=-1)
    low = np.take_along_axis(ordered, (number[..., None] - 1) // 2, axis=-1)
    high = np.take_along_axis(ordered, number[..., None] // 2, axis=-1)
    return (0.5 * (low + high))[..., 0]
