"""The properties of an image that come from its header."""

from datetime import datetime
from typing import Any

from .lookup import header_value


class KeywordProperties:
    """Properties of an image that its header holds, under any of their names.

    Each is None where the header does not say, and raises :class:`ImageError` where its value makes no sense.
    """

    header: Any
    label: Any

    def _from_header(self, name: str) -> Any:
        return header_value(self.header, name, label=self.label)

    @property
    def exposure_time(self) -> float | None:
        """Time during which the detector collected light [s]."""
        return self._from_header("exposure_time")

    @property
    def gain(self) -> float | None:
        """Electrons per count [electron/adu]."""
        return self._from_header("gain")

    @property
    def read_noise(self) -> float | None:
        """Standard deviation of the signal of a pixel that saw no light [electron]."""
        return self._from_header("read_noise")

    @property
    def filter(self) -> str | None:
        """Name of the filter."""
        return self._from_header("filter")

    @property
    def observation_time(self) -> datetime | None:
        """Start of the exposure, with time zone UTC."""
        return self._from_header("observation_time")

    @property
    def image_type(self) -> str | None:
        """Kind of exposure in lower case: bias, dark, flat, skyflat, object, …"""
        return self._from_header("image_type")

    @property
    def object_name(self) -> str | None:
        """What was observed."""
        return self._from_header("object_name")

    @property
    def instrument(self) -> str | None:
        """Camera or instrument."""
        return self._from_header("instrument")

    @property
    def telescope(self) -> str | None:
        """Telescope."""
        return self._from_header("telescope")

    @property
    def site(self) -> str | None:
        """Observatory."""
        return self._from_header("site")

    @property
    def observer(self) -> str | None:
        """Who observed."""
        return self._from_header("observer")

    @property
    def binning(self) -> tuple[int, int] | None:
        """Pixels of the detector per pixel, along x and y."""
        return self._from_header("binning")

    @property
    def readout_mode(self) -> str | None:
        """How the detector was read out: the name of a mode, or its speed."""
        return self._from_header("readout_mode")

    @property
    def ra(self) -> float | None:
        """Right ascension of the pointing [deg]."""
        return self._from_header("ra")

    @property
    def dec(self) -> float | None:
        """Declination of the pointing [deg]."""
        return self._from_header("dec")

    @property
    def airmass(self) -> float | None:
        """Airmass."""
        return self._from_header("airmass")

    @property
    def temperature(self) -> float | None:
        """Temperature of the detector [deg C]."""
        return self._from_header("temperature")

    @property
    def saturation(self) -> float | None:
        """Raw counts above which a pixel is saturated [adu]."""
        return self._from_header("saturation")

    @property
    def zero_point(self) -> float | None:
        """Magnitude of a source of flux 1 in the unit of the pixels [mag]."""
        return self._from_header("zero_point")

    @property
    def pedestal(self) -> float | None:
        """Constant that was added to the counts [adu]."""
        return self._from_header("pedestal")
