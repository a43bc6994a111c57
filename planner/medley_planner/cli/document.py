"""The common parts of the two forms of `medley solve`'s input: types of their figures, and the error of a file. Pure.

Where a type only has a schema, the planner itself checks the range (`optimize/validate`).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema

from medley_planner.bad_input import BadInput
from medley_planner.documents import can_be_printed
from medley_planner.schema_faults import bad_form

Quantity = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]
Price = Annotated[float, WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Fraction = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
Positive = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})]


def _printed(name: str) -> str:
    if not can_be_printed(name):
        raise bad_form("a name whose characters can all be printed", quoted=False)
    return name


Name = Annotated[str, Field(min_length=1), AfterValidator(_printed)]
"""A name is printed in tables and messages, so it holds no control character and nothing that a terminal hides."""


class BadDocument(BadInput):
    """A file from which nothing can be planned. `also` are further faults of it, each on a separate line."""

    also: tuple[BadInput, ...] = ()

    def within(self, outer: str) -> Self:
        for one in self.also:
            one.within(outer)
        return super().within(outer)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.also)])
