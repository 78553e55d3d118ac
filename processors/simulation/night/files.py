"""The files of a simulated night: raw frames, and the truth beside them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .ccd import CCDCamera
from .light_curves import PulsatingStar, TransitingPlanet
from .night import Night, take_night
from .truth import TruthWriter


def simulate_night(
    folder: str | Path,
    seed: int = 1,
    frames: int = 40,
    size: int | tuple[int, int] = 1024,
    *,
    biases: int = 10,
    darks: int = 10,
    flats: int = 7,
    filters: Sequence[str] = ("V", "R"),
    camera: CCDCamera | None = None,
    variable: PulsatingStar | None = None,
    transit: TransitingPlanet | None = None,
    threads: int | None = None,
    on_frame: Callable[[Path], Any] | None = None,
) -> list[Path]:
    """Write the raw frames of a night and, in the folder ``truth`` beside them, what they show.

    One field is followed for six hours while twilight ends, seeing, clouds and airmass change, the telescope drifts
    and the moon rises. A star in it pulsates, and another has a planet that passes before it. The same arguments give
    the same files.

    Parameters
    ----------
    folder : path
        Where they go; it is made. Names are ``bias_0001.fits``, ``dark_0001.fits``, ``flat_R_0001.fits`` and
        ``science_0001.fits``; the headers say the same.
    seed : int
        Start of all random numbers.
    frames : int
        Number of science frames.
    size : int or (int, int)
        Side of a frame, or rows and columns, without the overscan [px].
    biases, darks, flats : int
        Number of calibration frames; `flats` for each filter. Darks are as long as science frames.
    filters : sequence of str
        Of B, V, R and I; most science frames are taken in the last.
    camera : CCDCamera
        The detector.
    variable, transit : PulsatingStar, TransitingPlanet
        The stars to watch.
    threads : int
        Frames that are in the making at the same time.
    on_frame : callable
        Called with the path of each frame when it is written.

    Returns
    -------
    list of Path
        The frames, in the order in which they were taken.

    Raises
    ------
    ValueError
        A filter is not known, or there are more frames than a night has room for.
    FileExistsError
        The folder holds frames that do not belong to this night.

    Notes
    -----
    ``truth/frames.ecsv`` has a line for each frame: conditions and the relative flux of both stars to watch.
    ``truth/field.ecsv`` lists everything in the sky, ``truth/science_0001_truth.ecsv`` what a frame shows: fluxes are
    those of a pixel of response 1, which is the median of ``response_R`` in ``truth/maps.npz``; there are ``bias``
    [adu], ``dark`` [electron/s] and ``bad``, too. ``truth/cosmic_rays.ecsv`` lists the pixels that particles hit, and
    ``truth/night.json`` holds the parameters of the camera and of both stars.
    """
    shape = (size, size) if isinstance(size, int) else size
    night = Night.make(shape, seed=seed, camera=camera, filters=filters, variable=variable, transit=transit)
    planned = night.plan(frames, biases=biases, darks=darks, flats=flats)
    folder = Path(folder)
    names = {frame.name for frame in planned}
    strange = sorted(path.name for path in folder.glob("*.fits") if path.stem not in names)
    if strange:
        raise FileExistsError(f"{folder} holds {strange[0]}, which is not of this night; choose another folder")
    truth = TruthWriter(folder / "truth")
    written = []
    for raw in take_night(night, planned, threads=threads):
        path = folder / f"{raw.planned.name}.fits"
        raw.image.writeto(path)
        truth.add(raw)
        written.append(path)
        if on_frame is not None:
            on_frame(path)
    truth.finish(night)
    return written
