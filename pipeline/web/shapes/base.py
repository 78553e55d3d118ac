"""What all answers have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Number = float | None
"""Null where the value is not known or not finite."""

JobNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]
Words = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
"""Text of people's; no database takes a NUL."""


class Shape(BaseModel):
    """An answer, or what is sent along with a request."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", json_schema_serialization_defaults_required=True)


class Problem(Shape):
    """Why a request was not fulfilled."""

    error: str = Field(description="a sentence for people")
    detail: Any = Field(None, description="more, where there is more")
