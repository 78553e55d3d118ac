"""Masters that wait for a person: how they compare, and what is decided."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Number, Shape, Words

FileName = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]


class MasterComparison(Shape):
    """A master against the last accepted one of its kind."""

    job: int = Field(description="that has built it")
    name: str = Field(description="its file in the library")
    kind: str = Field(description="bias, dark, flat or bad_pixels")
    status: Literal["accepted", "candidate", "rejected"] = Field(description="what its file says now")
    compared_with: str | None = Field(description="file of the last one; null: it is the first of its kind")
    passed: bool
    reasons: list[str] = Field(description="what the comparison has found")
    figures: dict[str, Number] = Field(description="level, structure, noise …: what was measured")
    base: str = Field(description="what identifies the content; give it back when deciding")


class MasterDecision(Shape):
    """What a person says who has looked at a master."""

    name: FileName = Field(description="its file in the library")
    reason: Words = Field("", description="noted in the file")
    base: str = Field(
        "", max_length=64, description="`base` of the comparison that was looked at: no other content is judged"
    )


class MasterStatus(Shape):
    """What was decided."""

    name: str
    status: Literal["accepted", "rejected"]
