"""How the values of a pixel become one."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["mean", "median", "clipped"]
Center = Literal["median", "mean"]
Deviation = Literal["mad", "std"]
ErrorSource = Literal["auto", "scatter", "propagated", "none"]
Floor = float | Literal["uncertainty"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How the values of a pixel become one.

    Attributes
    ----------
    method : {"clipped", "median", "mean"}
        "clipped" is the mean of the values near the centre of all; of fewer than three values all are kept.
    sigma_low, sigma_high : float
        Values below and above the centre by more than so many standard deviations are clipped.
    center : {"median", "mean"}
        What they are measured from.
    deviation : {"mad", "std"}
        What a standard deviation is: 1.4826 times the median absolute deviation from the median, or the root mean
        square deviation from the mean, which one hit among few frames makes too large to clip anything.
    rounds : int
        How often clipping is repeated, at most.
    floor : float or "uncertainty"
        Least standard deviation for clipping. The deviation of few values is often much too small by chance; the
        known noise of a single frame keeps good values from being lost then. "uncertainty" takes for each pixel the
        root mean square of the uncertainties of its values.
    uncertainty : {"auto", "scatter", "propagated", "none"}
        Where the errors come from: the scatter of the values, the uncertainties of the frames, or (auto) the latter
        if every frame has one, else the former. "none" saves their time; they are NaN then.
    inverse_variance : bool
        Whether values are weighted by 1 / uncertainty²; for mean and clipped.

    Raises
    ------
    ValueError
        A number is out of its range, or a median is to be weighted.
    """

    method: Method = "clipped"
    sigma_low: float = 3.0
    sigma_high: float = 3.0
    center: Center = "median"
    deviation: Deviation = "mad"
    rounds: int = 5
    floor: Floor = 0.0
    uncertainty: ErrorSource = "auto"
    inverse_variance: bool = False

    def __post_init__(self) -> None:
        known = {
            "method": ("mean", "median", "clipped"),
            "center": ("median", "mean"),
            "deviation": ("mad", "std"),
            "uncertainty": ("auto", "scatter", "propagated", "none"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        if not (self.sigma_low > 0 and self.sigma_high > 0):
            raise ValueError(f"clipping limits must be positive, not {self.sigma_low} and {self.sigma_high}")
        if isinstance(self.floor, str) and self.floor != "uncertainty":
            raise ValueError(f"floor must be a number or uncertainty, not {self.floor!r}")
        if self.rounds < 1 or not (self.floor == "uncertainty" or self.floor >= 0):
            raise ValueError("clipping takes at least one round, and a floor that is not negative")
        if self.method == "median" and self.inverse_variance:
            raise ValueError("a median takes no weights; choose method mean or clipped")
