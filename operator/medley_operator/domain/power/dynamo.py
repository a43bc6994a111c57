"""Dynamo's power limits: the annotation of a pod with the watts that each of its GPUs may draw. Pure.

Dynamo's agent caps the GPUs of pods that carry it. On pods of others the annotation is read: it is a ceiling on their
GPUs, so that Medley lets no board draw more than who runs the pod asked for. On pods of LLMServices it is written where
that is switched on, and never read, since what stands there is what Medley wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from medley_operator.api.v1alpha1.power import CapMode
from medley_operator.domain.power.limits import GpuLimits, NodeLimits
from medley_operator.domain.power.view import PowerView
from medley_operator.domain.values.decision import PodNote
from medley_operator.domain.values.labels import POD, SERVICE, managed
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.domain.values.views import PodView

ANNOTATION = "dynamo.nvidia.com/gpu-power-limit"
_WATTS = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The least watts that pods ask for, by UUID of the GPU. `refused`: pods (namespace/name) whose annotation cannot
    be read, with the domain nearest to their node, and what is wrong."""

    watts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    refused: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))


NO_CEILINGS = Ceilings()


def ceilings_of(view: PowerView) -> Ceilings:
    """The ceilings on the GPUs that agents report pods of others on."""
    ours = _ours(view)
    asked = {_name(pod): pod.power_limit for pod in view.pods if pod.power_limit and not ours(pod)}
    if not asked:
        return NO_CEILINGS
    watts: dict[str, float] = {}
    refused: dict[str, tuple[str, str]] = {}
    for cap in view.caps.values():
        for uuid, name in ((gpu.uuid, name) for gpu in cap.status.gpus for name in gpu.pods if name in asked):
            if _WATTS.fullmatch(asked[name]):
                watts[uuid] = min(watts.get(uuid, math.inf), float(asked[name]))
            elif cap.spec.domains:
                refused[name] = (cap.spec.domains[0], _refusal(name, asked[name]))
    return Ceilings(watts, refused)


def _refusal(pod: str, text: str) -> str:
    return (
        f"pod {pod}: annotation {ANNOTATION} is {text!r}, which sets no ceiling on its GPUs: "
        "give the watts of one GPU as a whole number above 0, such as 250"
    )


def limit_notes(view: PowerView, nodes: Mapping[str, NodeLimits]) -> tuple[PodNote, ...]:
    """The annotations to set or take away on pods of LLMServices, so that they say what their GPUs are held to."""
    ours = _ours(view)
    on_gpus: dict[str, set[str]] = {}
    for cap in view.caps.values():
        for uuid, name in ((gpu.uuid, name) for gpu in cap.status.gpus for name in gpu.pods):
            on_gpus.setdefault(name, set()).add(uuid)
    found = (_note(pod, view, nodes, on_gpus.get(_name(pod), set())) for pod in view.pods if ours(pod) and pod.node)
    return tuple(note for note in found if note is not None)


def _note(pod: PodView, view: PowerView, nodes: Mapping[str, NodeLimits], uuids: set[str]) -> PodNote | None:
    limits, cap = nodes.get(pod.node), view.caps.get(pod.node)
    if limits is None and cap is not None and cap.spec.mode is CapMode.ENFORCE:
        return None  # its caps stay as they are, and so does what the pod says
    wanted = None
    if limits is not None and limits.mode is CapMode.ENFORCE:
        own = [each for each in limits.gpus if each.gpu.uuid in uuids] or limits.gpus
        wanted = min(_held_watts(own), default=None)
    text = None if wanted is None else str(wanted)
    if pod.ended or (text or "") == pod.power_limit:
        return None
    why = "GPUs are not capped any more" if wanted is None else f"each of its GPUs is held to {wanted} W"
    return PodNote(ObjectKey(POD, pod.namespace, pod.name), pod.uid, {ANNOTATION: text}, why)


def _held_watts(gpus: Iterable[GpuLimits]) -> Iterator[int]:
    """The most that each capped GPU draws, by its cap or by the model of its clock, within what its board takes."""
    for each in gpus:
        if each.capped:
            board = each.gpu.board
            yield math.floor(max(board.ceiling_watts(each.limit), board.min_cap_watts))


def _ours(view: PowerView) -> Callable[[PodView], bool]:
    """Whether a pod is one of an LLMService."""
    services = {ServiceKey.of(service) for service in view.services}
    return lambda pod: managed(pod.labels) and ServiceKey(pod.namespace, pod.labels.get(SERVICE, "")) in services


def _name(pod: PodView) -> str:
    return f"{pod.namespace}/{pod.name}"
