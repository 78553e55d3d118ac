"""A camera: what it makes of the electrons that light frees in its pixels."""

import numpy as np
from numba import njit
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat


class Camera(BaseModel):
    """Properties of a simulated detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("Etendue simulated camera", description="card INSTRUME")
    gain: PositiveFloat = Field(1.5, description="conversion gain [electron/adu]")
    read_noise: NonNegativeFloat = Field(6.0, description="noise of one reading [electron]")
    bias: NonNegativeFloat = Field(300.0, description="level of a pixel without light [adu]")
    full_well: PositiveFloat = Field(90_000.0, description="charge that a pixel holds [electron]")
    bits: int = Field(16, ge=8, le=16, description="resolution of the converter")
    bleeding: bool = Field(False, description="charge above the full well flows along the column, as in a CCD")
    vignetting: float = Field(0.0, ge=0, lt=1, description="part of the light that is lost in the corners")

    @property
    def saturation(self) -> float:
        """Value of a pixel that has reached the full well or the end of the converter [adu]."""
        return float(min(np.floor(self.full_well / self.gain + self.bias), 2**self.bits - 1))


def vignette(shape: tuple[int, int], loss: float) -> np.ndarray:
    """Throughput of the optics: 1 in the middle, and less with the square of the distance, down to ``1 - loss``.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    loss : float
        Part of the light lost in the corners.

    Returns
    -------
    (H, W) float32 array
    """
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) ** 2 / 2 for n in shape)
    return 1 - np.float32(loss) * (y[:, None] + x)


def read_out(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """What the camera's file holds after an exposure.

    Parameters
    ----------
    light : (H, W) array
        Expected number of electrons of each pixel.
    camera : Camera
        The detector.
    rng : numpy.random.Generator
        Source of the photon noise and the read noise.

    Returns
    -------
    (H, W) uint16 array
        [adu]; never above ``camera.saturation``.
    """
    charge = rng.poisson(light).astype(np.float32)
    if camera.bleeding:
        bleed(charge, np.float32(camera.full_well))
    np.minimum(charge, np.float32(camera.full_well), out=charge)
    charge += np.float32(camera.read_noise) * rng.standard_normal(light.shape, dtype=np.float32)
    charge /= np.float32(camera.gain)
    charge += np.float32(camera.bias)
    np.rint(charge, out=charge)
    return np.clip(charge, 0, camera.saturation, out=charge).astype(np.uint16)


@njit(nogil=True, cache=True, error_model="numpy")
def bleed(charge, full_well):
    """Let the excess of a pixel flow up and down its column, half each way, until it finds room; in place, O(H·W)."""
    height, width = charge.shape
    spill = np.zeros(width, dtype=np.float32)
    excess = np.zeros((height, width), dtype=np.float32)
    for row in range(height):
        for column in range(width):
            over = charge[row, column] - full_well
            if over > 0:
                charge[row, column] = full_well
                excess[row, column] = over / 2
    for direction in (1, -1):
        spill[:] = 0
        for step in range(height):
            row = step if direction > 0 else height - 1 - step
            for column in range(width):
                flowing = spill[column]
                if flowing > 0:
                    taken = min(flowing, full_well - charge[row, column])
                    charge[row, column] += taken
                    flowing -= taken
                spill[column] = flowing + excess[row, column]


def cosmic_ray_hits(shape: tuple[int, int], count: float, rng: np.random.Generator) -> np.ndarray:
    """Charge left by particles: straight tracks of some pixels, without any influence of optics or seeing.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    count : float
        Expected number of particles.
    rng : numpy.random.Generator
        Source of places, directions and energies.

    Returns
    -------
    (H, W) float32 array
        [electron]; zero where nothing hit.
    """
    hits = np.zeros(shape, dtype=np.float32)
    for _ in range(rng.poisson(count)):
        length = 1 + rng.exponential(3)
        angle, charge = rng.uniform(0, 2 * np.pi), 800 * rng.lognormal(0, 0.8)
        along = np.arange(0, length, 0.25)
        row = np.floor(rng.uniform(0, shape[0]) + along * np.sin(angle)).astype(int)
        column = np.floor(rng.uniform(0, shape[1]) + along * np.cos(angle)).astype(int)
        inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        np.add.at(hits, (row[inside], column[inside]), charge / 4)
    return hits
