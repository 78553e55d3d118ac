"""What the header and the provenance of a final image tell: how good it is, and which masters have made it."""

from collections.abc import Mapping

from ...images import Header, Image

MEASURED: Mapping[str, tuple[str, str]] = {
    "seeing": ("FWHMSEC", "arcsec"),
    "fwhm": ("FWHM", "px"),
    "ellipticity": ("ELLIPT", ""),
    "sky": ("SKYLEVEL", ""),
    "sky_noise": ("SKYNOISE", ""),
    "n_sources": ("NSOURCES", ""),
    "limiting_magnitude": ("LIMMAG", "mag"),
    "zero_point": ("LIMZP", "mag"),
    "airmass": ("AIRMASS", ""),
}
"""What is told of each frame, the card that holds it (MeasureQuality writes them), and the unit."""

MASTER = "master "
"""Beginning of the role of a file that a frame was calibrated with."""


def measured_on(header: Header) -> dict[str, float]:
    """The numbers of :data:`MEASURED` that a header holds."""
    found = {name: header.get(card) for name, (card, _) in MEASURED.items()}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def masters_of(image: Image) -> dict[str, str]:
    """Checksums of the masters that an image was calibrated with, by kind: bias, dark, flat, bad_pixels."""
    inputs = [file for activity in image.provenance for file in activity.inputs if file.role.startswith(MASTER)]
    return {file.role.removeprefix(MASTER).replace(" ", "_"): file.sha256 for file in inputs}
