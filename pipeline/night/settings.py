"""What a chain file says about the night: how raw frames are sorted, masters built, and whose light curve is drawn.

.. code-block:: yaml

    night:
      frame_types:
        - type: bias
          when: {OBSTYPE: DARK, OBJECT: "Bias*"}
      fewest: {flat: 5}
      targets: {"WASP-12": [97.6366, 29.6723]}
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from .frame_types import FrameRule

MasterKind = Literal["bias", "dark", "flat"]
FEWEST: dict[MasterKind, int] = {"bias": 3, "dark": 3, "flat": 3}


class NightSettings(BaseModel):
    """How ``etendue reduce`` treats a night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame_types: tuple[FrameRule, ...] = Field(
        (), description="rules that tell what kind of exposure a raw frame is; they go before the built-in ones"
    )
    fewest: dict[MasterKind, PositiveInt] = Field({}, description="fewest frames of which a master is made; 3 each")
    normalise: Literal["whole", "amplifier"] = Field(
        "whole",
        description="whether the median of a whole flat is 1, or that of each amplifier's part: then gains, not the "
        "flat, make the amplifiers equal",
    )
    bad_pixels: bool = Field(True, description="make a map of bad pixels from the night's darks and flats")
    memory: PositiveFloat = Field(500.0, description="memory for the combination of frames [MB]")
    targets: dict[str, Annotated[tuple[float, float], Field(description="right ascension and declination [deg]")]] = (
        Field(
            {},
            description="stars whose light curves are drawn: name and position (ICRS) [deg]; "
            "where frames have no coordinates, the pixel on the first frame",
        )
    )
    variables: NonNegativeInt = Field(4, description="light curves of so many of the most variable stars are drawn")

    def fewest_of(self, kind: MasterKind) -> int:
        """Fewest frames of which a master of this kind is made."""
        return self.fewest.get(kind, FEWEST[kind])
