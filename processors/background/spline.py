"""From the mesh to the pixels: a natural bicubic spline through the centres of the boxes."""

import numpy as np
from numba import njit


def curvature_operator(count: int) -> np.ndarray:
    """The matrix that turns values at equidistant nodes into the second derivatives of their natural cubic spline.

    Parameters
    ----------
    count : int
        Number of nodes, which are one apart.

    Returns
    -------
    (count, count) array
        The spline has no curvature at its ends, so the first and last row are zero.
    """
    operator = np.zeros((count, count))
    if count < 3:
        return operator
    inner = np.arange(count - 2)
    system = np.zeros((count - 2, count - 2))
    system[inner, inner] = 4.0
    system[inner[1:], inner[:-1]] = system[inner[:-1], inner[1:]] = 1.0
    differences = np.zeros((count - 2, count))
    differences[inner, inner], differences[inner, inner + 1], differences[inner, inner + 2] = 6.0, -12.0, 6.0
    operator[1:-1] = np.linalg.solve(system, differences)
    return operator


def spline_weights(positions: np.ndarray, box: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes a position lies between, and the weights of their values and curvatures.

    Parameters
    ----------
    positions : (N,) array
        Pixel coordinates, 0-based; the centre of box `i` is at ``(i + 0.5) * box - 0.5``.
    box : int
        Size of a box [px].
    count : int
        Number of boxes. Outside the centres of the first and the last one the outermost cubic is continued.

    Returns
    -------
    cell : (N,) int array
        The node to the left of each position.
    weights : (4, N) float64 array
        Weights of the value left and right, and of the second derivative left and right.
    """
    if count == 1:
        weights = np.zeros((4, len(positions)))
        weights[0] = 1.0
        return np.zeros(len(positions), dtype=np.int64), weights
    at = (np.asarray(positions, dtype=np.float64) + 0.5) / box - 0.5
    cell = np.clip(np.floor(at), 0, count - 2).astype(np.int64)
    right = at - cell
    left = 1.0 - right
    return cell, np.stack([left, right, (left**3 - left) / 6.0, (right**3 - right) / 6.0])


@njit(nogil=True, cache=True, error_model="numpy")
def spline_rows(nodes, curvatures, starts, weights, data, subtract, out):
    """out = spline, or data - spline: one pass, 4 byte written (and 4 read) and 7 operations per pixel.

    Parameters
    ----------
    nodes, curvatures : (H, nx) float32 arrays
        The spline's value and its second derivative along x at the centres of the boxes, in each row of pixels.
    starts : (max(nx - 1, 1) + 1,) int64 array
        First column of pixels of each cell between two centres, and the width of the image.
    weights : (4, W) float32 array
        Weights from :func:`spline_weights`.
    data : (H, W) float32 array
        Pixels from which the spline is subtracted; unused (and may be empty) if not `subtract`.
    subtract : bool
        Whether to subtract.
    out : (H, W) float32 array
        Filled with the result; may be `data`.
    """
    last = nodes.shape[1] - 1
    for y in range(out.shape[0]):
        for cell in range(starts.size - 1):
            right = min(cell + 1, last)
            v0, v1 = nodes[y, cell], nodes[y, right]
            c0, c1 = curvatures[y, cell], curvatures[y, right]
            w0, w1 = weights[0, starts[cell] : starts[cell + 1]], weights[1, starts[cell] : starts[cell + 1]]
            w2, w3 = weights[2, starts[cell] : starts[cell + 1]], weights[3, starts[cell] : starts[cell + 1]]
            target = out[y, starts[cell] : starts[cell + 1]]
            if subtract:
                source = data[y, starts[cell] : starts[cell + 1]]
                for k in range(target.size):
                    target[k] = source[k] - (w0[k] * v0 + w1[k] * v1 + (w2[k] * c0 + w3[k] * c1))
            else:
                for k in range(target.size):
                    target[k] = w0[k] * v0 + w1[k] * v1 + (w2[k] * c0 + w3[k] * c1)
