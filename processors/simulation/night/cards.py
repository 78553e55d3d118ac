"""Headers as a camera at a telescope writes them: what was set and measured, nothing of the truth."""

from datetime import UTC, datetime

from ....images import Header
from .ccd import CCDCamera
from .plan import PlannedFrame

OBJECTS = {"bias": "bias", "dark": "dark", "flat": "twilight"}
"""Card OBJECT of calibration frames."""


def raw_header(
    frame: PlannedFrame,
    shape: tuple[int, int],
    *,
    camera: CCDCamera,
    object_name: str,
    temperature: float,
    airmass: float | None = None,
    wcs: Header | None = None,
) -> Header:
    """Header of a raw frame.

    Parameters
    ----------
    frame : PlannedFrame
        The exposure.
    shape : (int, int)
        Rows and columns that see light; the overscan lies to their right.
    camera : CCDCamera
        The detector.
    object_name : str
        What science frames show.
    temperature : float
        Of the detector [deg C].
    airmass : float
        At the middle of the exposure.
    wcs : Header
        Cards of a celestial coordinate system; the overscan does not move it.
    """
    height, width = shape
    light = f"[1:{width},1:{height}]"
    cards = {
        "OBJECT": (object_name if frame.kind == "object" else OBJECTS[frame.kind], "what was observed"),
        "IMAGETYP": (frame.kind, "kind of exposure"),
        "DATE-OBS": (_iso(frame.time), "start of the exposure (UTC)"),
        "DATE-MID": (_iso(frame.middle), "middle of the exposure (UTC)"),
        "EXPTIME": (frame.exposure_time, "[s] exposure time"),
        "FILTER": (frame.filter or None, "name of the filter"),
        "TELESCOP": ("Etendue simulated telescope", "telescope"),
        "INSTRUME": (camera.name, "camera"),
        "XBINNING": (1, "binning along x"),
        "YBINNING": (1, "binning along y"),
        "READMODE": ("normal", "readout mode"),
        "GAIN": (camera.gain, "[electron/adu] conversion gain"),
        "RDNOISE": (camera.read_noise, "[electron] read noise"),
        "SATURATE": (camera.saturation, "[adu] saturation level"),
        "DATASEC": (light, "pixels that see light"),
        "TRIMSEC": (light, "what is left when the overscan is cut off"),
        "BIASSEC": (f"[{width + 1}:{width + camera.overscan},1:{height}]", "overscan"),
        "SET-TEMP": (-60.0, "[deg C] temperature that was asked for"),
        "CCD-TEMP": (round(temperature, 2), "[deg C] temperature of the detector"),
        "AIRMASS": (None if airmass is None else round(airmass, 4), "airmass in the middle of the exposure"),
        "BUNIT": ("adu", "unit of the pixels"),
        "SIMULATE": (True, "made by Etendue's simulator, not by a telescope"),
    }
    if not camera.overscan:
        del cards["BIASSEC"]
    header = Header()
    for key, (value, comment) in cards.items():
        if value is not None:
            header[key] = (value, comment)
    if wcs is not None:
        header["RA"] = (wcs["CRVAL1"], "[deg] right ascension of the pointing")
        header["DEC"] = (wcs["CRVAL2"], "[deg] declination of the pointing")
        header.update(wcs)
    return header


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
