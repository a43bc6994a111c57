"""How far Medley acts on the plans of a service: `spec.scaling.mode`, and `--mode` for the whole fleet.

Apart: the setting, the spec and what decides share this one enum, and none of them may import another of them.
"""

from __future__ import annotations

from enum import StrEnum


class ActingMode(StrEnum):
    """From the boldest to the most careful."""

    AUTO = "Auto"
    """Acts on each plan."""
    APPROVE = "Approve"
    """A new plan waits for a person; until then the last approved one stays in force."""
    ADVISORY = "Advisory"
    """Shows each plan, and writes no child."""
    PAUSED = "Paused"
    """Makes no plan and writes no child: for maintenance of the cluster or of Medley."""

    @property
    def writes_children(self) -> bool:
        return self in (ActingMode.AUTO, ActingMode.APPROVE)


def effective_mode(fleet: ActingMode, service: ActingMode) -> ActingMode:
    """The more careful of the fleet's mode and the service's own."""
    order = list(ActingMode)
    return max(fleet, service, key=order.index)
