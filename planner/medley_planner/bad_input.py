"""Input that cannot be read or used: one root for all such errors, and one wording of them. Pure.

An error of this tree always comes from outside (a file, an object, an option), never from a fault of the program, so a
command or a round catches `BadInput` and shows it. `tests/unit/planner/test_bad_input.py` holds the tree to the code.

    BadInput
    ├── InvalidProblem    a problem that no plan can be made from            optimize.validate
    ├── UnknownGpu        a GPU type that the catalogue lacks                catalog
    ├── BadDataSheet      a GPU type from which nothing can be computed      catalog
    ├── UnknownModel      a model whose shape is not bundled                 shapes
    ├── BadConfig         a config.json that gives no shape                  shapes
    ├── BadSizes          sizes of a model, by hand, that contradict         shapes
    ├── BadWeights        a file of weights that cannot be read              shapes
    ├── BadText           JSON or YAML that cannot be read                   documents
    ├── BadHistogram      buckets that give no sizes                         workload
    ├── BadRecord         a calibration that was kept and makes no sense     capacity
    ├── NoEstimate        a replica and a load that have no estimate         capacity
    ├── BadOption         an option of a command line                        cli
    ├── BadDocument       a file of `medley solve`, a fleet or an instance   cli
    ├── BadProfile        the ModelProfile of `medley estimate --profile`    cli
    ├── BadRow            a row of `medley estimate --csv`                   cli
    ├── BadTrace          the trace of `medley simulate`                     cli
    ├── BadManifest       YAML that kubectl applies                          medley_operator.cli
    ├── BadReplay         a world that cannot be replayed                    medley_operator.replay
    ├── BadPriceList      a price list, or a catalogue to make one from      medley_operator.metrics
    ├── BadReport         a report of a load test                            medley_operator.profile
    └── BadSetting        a flag or environment variable of the operator     medley_operator.settings
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Final, Self

_SHOWN_CHARACTERS = 60


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()
"""The value of a missing field."""


class BadInput(ValueError):
    """`where` is the object (a file, "service chat"), `field` the path in it, `value` what was written there.

    `way_out` says what is wrong with the value, where that is not plain, and what to write instead. `where` is empty
    where the reader knows the object; `field` is empty where the object as a whole is at fault, and then no value is
    shown.
    """

    def __init__(self, where: str, field: str, value: object, way_out: str) -> None:
        super().__init__(where, field, value, way_out)
        self.where = where
        self.field = field
        self.value = value
        self.way_out = way_out

    @classmethod
    def whole(cls, where: str, way_out: str) -> Self:
        """The object itself is at fault: it cannot be read, or is something else."""
        return cls(where, "", MISSING, way_out)

    def within(self, outer: str) -> Self:
        """The same error, naming also what holds its object."""
        self.where = f"{outer}: {self.where}" if self.where else outer
        return self

    @property
    def fault(self) -> str:
        """The message without the object."""
        if not self.field:
            return self.way_out
        return f"{self.field} is {'missing' if self.value is MISSING else shown(self.value)}: {self.way_out}"

    def __str__(self) -> str:
        return f"{self.where}: {self.fault}" if self.where else self.fault


def shown(value: object) -> str:
    """The value as JSON, shortened for a message; whole floats as they were most likely written."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    try:
        text = json.dumps(value, default=_as_written)
    except (TypeError, ValueError, RecursionError):  # YAML also makes keys, loops and numbers that JSON has not
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def _as_written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
