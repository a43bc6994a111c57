"""From what the agent found to the status of its NodePowerCap. Pure; times are arguments.

Watts drawn and reasons of the driver move all the time: `worth_writing` says when a status says something new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from medley_operator.api.v1alpha1.power import (
    AgentState,
    CapMode,
    GpuPowerStatus,
    GpuState,
    NodePowerCap,
    NodePowerCapStatus,
)
from medley_operator.domain.values.conditions import ConditionStatus, Draft, merge
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.power.agent.bounds import BoundsReason
from medley_operator.power.agent.keeper import GpuReport
from medley_operator.power.agent.machine import DoubtReason, HoldReason
from medley_operator.power.agent.orders import Moment
from medley_operator.power.gpu.protocol import GpuFault, Throttle

ENFORCED = "Enforced"
REFRESH_SECONDS = 60.0
"""Watts and reasons alone are written this often at most."""
MANY = 3
POWER_BRAKE = "HwPowerBrake"

_STATES: Mapping[str, GpuState] = MappingProxyType(
    {
        GpuFault.LOST: GpuState.LOST,
        GpuFault.NOT_PERMITTED: GpuState.NO_PERMISSION,
        GpuFault.NOT_SUPPORTED: GpuState.NOT_SUPPORTED,
        GpuFault.REFUSED: GpuState.FAILED,
        GpuFault.NO_DRIVER: GpuState.FAILED,
        GpuFault.TIMEOUT: GpuState.FAILED,
        GpuFault.FAILED: GpuState.FAILED,
        BoundsReason.NO_LIMIT: GpuState.NOT_SUPPORTED,
        BoundsReason.NO_CLOCKS: GpuState.NOT_SUPPORTED,
        BoundsReason.BELOW_RANGE: GpuState.LIMITED,
        BoundsReason.OUT_OF_RANGE: GpuState.LIMITED,
        DoubtReason.ENFORCED_BELOW: GpuState.LIMITED,
        DoubtReason.ENFORCED_ABOVE: GpuState.LIMITED,
        DoubtReason.NOT_HELD: GpuState.LIMITED,
        DoubtReason.WAITING: GpuState.OK,
    }
)
"""The state of a GPU by the first thing that is wrong with it."""

_THROTTLES = (
    (Throttle.POWER_CAP, "SwPowerCap"),
    (Throttle.THERMAL, "Thermal"),
    (Throttle.HARDWARE, "HwSlowdown"),
    (Throttle.POWER_BRAKE, POWER_BRAKE),
)


def status_of(
    cap: NodePowerCap, reports: Sequence[GpuReport], fault: str, now: Moment, pods: Mapping[str, Sequence[str]]
) -> NodePowerCapStatus:
    """`fault`: why the driver of the node does not answer at all; "": it does. `pods`: those on each GPU, by UUID."""
    gpus = sorted((gpu_status(report, now, pods.get(report.uuid, ())) for report in reports), key=lambda gpu: gpu.uuid)
    state = _state(cap, reports)
    troubled = [gpu for gpu in gpus if gpu.state != GpuState.OK]
    message = fault or _message(cap, state, gpus, troubled)
    return NodePowerCapStatus(
        observed_generation=cap.metadata.generation,
        observed_revision=cap.spec.revision,
        state=state,
        message=message,
        gpus=gpus,
        capped_gpus=sum(_is_capped(gpu) for gpu in gpus),
        conditions=merge(
            cap.status.conditions,
            {ENFORCED: _enforced(state, gpus, troubled, message)},
            generation=cap.metadata.generation,
            now=utc_text(now.unix_seconds),
        ),
    )


def _state(cap: NodePowerCap, reports: Iterable[GpuReport]) -> AgentState:
    if cap.spec.mode is CapMode.SHADOW:
        return AgentState.SHADOW
    if cap.spec.mode is CapMode.RELEASE:
        return AgentState.RELEASED
    expired = any(each.verdict is not None and each.verdict.reason is HoldReason.LEASE_EXPIRED for each in reports)
    return AgentState.SAFE if expired else AgentState.ENFORCING


def _message(
    cap: NodePowerCap, state: AgentState, gpus: Sequence[GpuPowerStatus], troubled: Sequence[GpuPowerStatus]
) -> str:
    parts = []
    if state is AgentState.SAFE:
        lease = cap.spec.lease
        parts.append(
            f"{lease.holder} last renewed the lease of {lease.duration_seconds} s at {lease.renew_time}, so the safe "
            "limits are in force"
        )
    if not gpus:
        parts.append("this node has no GPU whose driver answers")
    if troubled:
        shown = "; ".join(f"{gpu.uuid}: {gpu.message}" for gpu in troubled[:MANY])
        more = f"; and {len(troubled) - MANY} more" if len(troubled) > MANY else ""
        parts.append(f"{len(troubled)} of {len(gpus)} GPUs are not held as ordered: {shown}{more}")
    return ". ".join(parts)


def _enforced(
    state: AgentState, gpus: Sequence[GpuPowerStatus], troubled: Sequence[GpuPowerStatus], message: str
) -> Draft:
    if state is AgentState.SHADOW:
        return Draft(ConditionStatus.UNKNOWN, "Shadow", "spec.mode is Shadow, so nothing is applied")
    if not gpus:
        return Draft(ConditionStatus.UNKNOWN, "NoGpus", message)
    if any(gpu.state not in (GpuState.OK, GpuState.LIMITED) for gpu in troubled):
        return Draft(ConditionStatus.FALSE, "GpusNotHeld", message, sticky_message=True)
    if state is AgentState.SAFE:
        return Draft(ConditionStatus.TRUE, "SafeLimits", message, sticky_message=True)
    if troubled:
        return Draft(ConditionStatus.TRUE, "OtherLimits", message, sticky_message=True)
    return Draft(ConditionStatus.TRUE, "AsOrdered", f"{len(gpus)} GPUs are held as ordered")


def gpu_status(report: GpuReport, now: Moment, pods: Sequence[str] = ()) -> GpuPowerStatus:
    facts, reading, verdict, memory = report.facts, report.reading, report.verdict, report.memory
    wrong = (*report.faults, *(verdict.remarks if verdict is not None else ()))
    # What waits for its 5 s is not wrong, and is shown only where nothing else is.
    wrong = tuple(sorted(wrong, key=lambda remark: remark.reason == DoubtReason.WAITING))
    changed_at = now.unix_seconds - (now.monotonic_seconds - memory.changed_seconds)
    lock = memory.lock_mhz if memory.lock_known else None
    registers = verdict.registers if verdict is not None else None
    return GpuPowerStatus(
        uuid=report.uuid,
        product=facts.name if facts is not None else "",
        state=_STATES[wrong[0].reason] if wrong else GpuState.OK,
        message="; ".join(dict.fromkeys(remark.message for remark in wrong if remark.reason != DoubtReason.WAITING)),
        min_cap_watts=_whole(facts.min_watts) if facts is not None else None,
        max_cap_watts=_whole(facts.max_watts) if facts is not None else None,
        default_cap_watts=_whole(facts.default_watts) if facts is not None else None,
        max_clock_mhz=facts.clocks_mhz[-1] if facts is not None and facts.clocks_mhz else None,
        requested_watts=_whole(registers.limit_watts) if registers is not None else None,
        enforced_watts=_whole(reading.enforced_watts) if reading is not None else None,
        requested_clock_mhz=registers.lock_mhz if registers is not None else None,
        enforced_clock_mhz=lock,
        watts=_whole(reading.usage_watts) if reading is not None else None,
        reasons=[name for throttle, name in _THROTTLES if reading is not None and throttle in reading.throttle],
        mig=facts is not None and facts.mig,
        pods=list(pods),
        applied_at=utc_text(changed_at) if memory.changed_seconds > float("-inf") else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _is_capped(gpu: GpuPowerStatus) -> bool:
    limited = (
        gpu.enforced_watts is not None
        and gpu.default_cap_watts is not None
        and gpu.enforced_watts < gpu.default_cap_watts
    )
    return limited or gpu.enforced_clock_mhz is not None


def worth_writing(before: NodePowerCapStatus | None, after: NodePowerCapStatus, *, since_seconds: float) -> bool:
    """Whether the API server is to hear of it: at once what is held or wrong, and within a minute what moves."""
    if before is None or since_seconds >= REFRESH_SECONDS:
        return before != after
    return _lasting(before) != _lasting(after)


def _lasting(status: NodePowerCapStatus) -> NodePowerCapStatus:
    """The status without what moves by itself, such as with each renewal of the lease. A brake of the facility
    stays in it."""
    gpus = [
        gpu.model_copy(
            update={
                "watts": None,
                "applied_at": None,
                "reasons": [each for each in gpu.reasons if each == POWER_BRAKE],
            }
        )
        for gpu in status.gpus
    ]
    moving = {"observed_generation": 0, "last_transition_time": ""}
    conditions = [each.model_copy(update=moving) for each in status.conditions]
    return status.model_copy(update={"gpus": gpus, "conditions": conditions, "observed_generation": 0})
