"""The key of a calibration: an engine, as one namespace runs it.

Apart from the planner's key, because who reports a speed matters to whom it is believed by: counters are a tenant's to
make up.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.capacity import EngineKey


@dataclass(frozen=True, slots=True)
class LearnedKey(EngineKey):
    """`arguments`: a digest of the arguments that no layout holds, "" for none. `namespace`: of the pods; "" for what
    earlier versions learned of all namespaces together."""

    arguments: str = ""
    namespace: str = ""

    @property
    def engine(self) -> EngineKey:
        return EngineKey(self.model, self.layout)

    def __lt__(self, other: EngineKey) -> bool:
        """A stable order: by model, layout, arguments, then namespace."""
        return _order(self) < _order(other)


def _order(key: EngineKey) -> tuple[str, object, str, str]:
    learned = key if isinstance(key, LearnedKey) else LearnedKey(key.model, key.layout)
    return learned.model, learned.layout, learned.arguments, learned.namespace
