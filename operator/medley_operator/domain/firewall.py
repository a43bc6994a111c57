"""The firewall round each object: whatever is raised about one of them becomes a value, and the object is left out with
a reason while all others go on. Pure: who does I/O logs and counts the faults.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import TypeVar

from medley_operator.api.v1alpha1 import GPUPool, GPUType, LLMService, MedleyPolicy, ModelProfile, RuntimeProfile
from medley_operator.domain.values.printable import printable
from medley_operator.domain.values.snapshot import InvalidObject, ObjectFault, ObjectKey
from medley_planner.refusal import Refusal

MOST_ERROR_CHARACTERS = 200
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
"""It differs from process to process, and an equal failure must read the same."""

Result = TypeVar("Result")


def guarded(about: ObjectKey, call: Callable[[], Result]) -> Result | ObjectFault:
    """The result of `call`, or what it raised about the object."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - any fault of ours on one object is that object's alone
        return fault_of(about, error)


def fault_of(about: ObjectKey, error: Exception) -> ObjectFault:
    text = printable(_ADDRESS.sub("0x", f"{type(error).__name__}: {error}"))
    if len(text) > MOST_ERROR_CHARACTERS:
        text = text[: MOST_ERROR_CHARACTERS - 1] + "…"
    return ObjectFault(about=about, error=text, trace="".join(traceback.format_exception(error)))


class Firewall:
    """Collects the faults of one round; of one object the first counts."""

    def __init__(self) -> None:
        self._faults: dict[ObjectKey, ObjectFault] = {}

    def guard(self, about: ObjectKey, call: Callable[[], Result]) -> Result | ObjectFault:
        found = guarded(about, call)
        if isinstance(found, ObjectFault):
            self._faults.setdefault(about, found)
        return found

    @property
    def faults(self) -> tuple[ObjectFault, ...]:
        return tuple(self._faults.values())


def unreadable(
    item: LLMService | GPUPool | RuntimeProfile | ModelProfile | MedleyPolicy | GPUType, fault: ObjectFault
) -> InvalidObject:
    """The object as one that cannot be read. Its refusal is worded as its status has it already, since what is raised
    may hold figures that move."""
    metadata, refusal = item.metadata, fault.refusal
    shown = (each for each in item.status.conditions if each.reason == refusal.reason)
    same = next((each for each in shown if each.observed_generation == metadata.generation), None)
    return InvalidObject(
        key=fault.about,
        uid=metadata.uid,
        generation=metadata.generation,
        refusal=refusal if same is None else Refusal(refusal.reason, same.message),
        status=item.status.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
