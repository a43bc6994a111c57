"""A controller of power that is played second by second on racks of H100 nodes, its writes taken in as by a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medley_operator.api.v1alpha1 import LLMService, MedleyPolicy
from medley_operator.api.v1alpha1.power import NodePowerCap, PowerDomain, PowerEvent
from medley_operator.domain.power.controller import PowerController, PowerDecision
from medley_operator.domain.power.gpu_sum import GpuReadings
from medley_operator.domain.power.limits import CapRules
from medley_operator.domain.power.report import NoticeKind
from medley_operator.domain.power.view import MeterFault, PowerView
from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, SERVICE
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.snapshot import InvalidObject
from medley_operator.domain.values.views import NodeView, PodView
from medley_planner.power import MeterAnswer

BEGIN = 1_800_000_000.0
GPUS = 8
NON_GPU_WATTS = 1000
IDLE_WATTS = NON_GPU_WATTS + GPUS * 70.0
FULL_WATTS = NON_GPU_WATTS + GPUS * 700.0


def node(name: str, rack: str, *, product: str = "NVIDIA-H100-80GB-HBM3") -> NodeView:
    return NodeView(name, {"rack": rack, "nvidia.com/gpu.product": product}, {"nvidia.com/gpu": GPUS})


def pod(
    service: str, on: str, gpus: int = GPUS, *, name: str = "", namespace: str = "team", power_limit: str = ""
) -> PodView:
    """Without a service: one that is not ours."""
    labels = {SERVICE: service, MANAGED_BY: MANAGED_BY_VALUE} if service else {}
    name = name or f"{service}-0"
    needs = {"nvidia.com/gpu": gpus}
    return PodView(namespace, name, f"uid-{name}", needs, node=on, labels=labels, power_limit=power_limit)


def service(name: str, priority: str, *, namespace: str = "team") -> LLMService:
    return LLMService.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"uri": "hf://org/model"}, "priority": priority},
        }
    )


HIGH_ALLOWED = MedleyPolicy.model_validate({"metadata": {"name": "all"}, "spec": {"limits": {"maxPriority": "High"}}})


@dataclass
class Power:
    """Objects by name, the watts of meters by domain, and what the controller made of them."""

    nodes: dict[str, NodeView] = field(default_factory=dict)
    pods: list[PodView] = field(default_factory=list)
    services: list[LLMService] = field(default_factory=list)
    domains: dict[str, PowerDomain] = field(default_factory=dict)
    events: dict[str, PowerEvent] = field(default_factory=dict)
    caps: dict[str, NodePowerCap] = field(default_factory=dict)
    rejected: list[InvalidObject] = field(default_factory=list)
    watts: dict[str, float | tuple[float, ...] | MeterFault] = field(default_factory=dict)
    gpus: GpuReadings | MeterFault | None = None
    now: float = BEGIN
    said: list[tuple[NoticeKind, str]] = field(default_factory=list)
    writes: int = 0
    holder: str = "one"
    annotates_pods: bool = False
    _controller: PowerController | None = None

    def rack(self, name: str, *, nodes: int = 2, budget: float = 12000, reported: bool = True, **spec: Any) -> None:
        for index in range(nodes):
            self.nodes[f"{name}-{index}"] = node(f"{name}-{index}", name)
        self.domain(name, budget=budget, nodeSelector={"rack": name}, nonGpuWatts=NON_GPU_WATTS, **spec)
        if reported:
            self.step()
            for index in range(nodes):
                self.report(f"{name}-{index}")

    def domain(self, name: str, *, budget: float, metered: bool = True, **spec: Any) -> None:
        meter = {"meter": {"query": "x"}} if metered else {}
        before = self.domains.get(name)
        generation = 1 if before is None else before.metadata.generation + 1
        given = {
            "metadata": {"name": name, "uid": f"uid-{name}", "generation": generation},
            "spec": {"budgetWatts": int(budget), "mode": "Enforce", **meter, **spec},
        }
        domain = PowerDomain.model_validate(given)
        if before is not None:
            domain = domain.model_copy(update={"status": before.status})
        self.domains[name] = domain

    def event(self, name: str, domain: str, *, start: float, end: float, **target: Any) -> None:
        spec = {"domain": domain, "start": utc_text(start), "end": utc_text(end), **target}
        self.events[name] = PowerEvent.model_validate({"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec})

    def report(self, name: str, *, pods: Mapping[int, str] | None = None, least: int = 200) -> None:
        """The node's agent says which GPUs it has."""
        gpus = [
            {
                "uuid": f"GPU-{name}-{index}",
                "state": "Ok",
                "product": "H100",
                "minCapWatts": least,
                "maxCapWatts": 700,
                "pods": [(pods or {})[index]] if index in (pods or {}) else [],
            }
            for index in range(GPUS)
        ]
        cap = self.caps[name]
        status = type(cap.status).model_validate({"gpus": gpus})
        self.caps[name] = cap.model_copy(update={"status": status})

    def new_leader(self) -> None:
        self._controller, self.holder = None, self.holder + "+"

    def step(self, seconds: int = 1) -> PowerDecision:
        """So many rounds, a second apart; returns the last decision."""
        decision = PowerDecision()
        for _ in range(seconds):
            self.now += 1.0
            decision = self._round()
        return decision

    def until(self, holds: Any, *, within: int) -> int:
        """Rounds until that holds."""
        for count in range(1, within + 1):
            self.step()
            if holds():
                return count
        raise AssertionError(f"not within {within} rounds")

    def limits(self, name: str) -> set[tuple[str, int | None]]:
        spec = self.caps[name].spec
        each = [gpu.limit for gpu in spec.gpus] or [spec.others.limit]
        return {(limit.clock_fraction, limit.cap_watts) for limit in each}

    def reason(self, name: str, type_: str = "Accepted") -> str:
        status = self.domains[name].status
        return next(each.reason for each in status.conditions if each.type == type_)

    def kinds(self) -> Sequence[NoticeKind]:
        return [kind for kind, _ in self.said]

    def _round(self) -> PowerDecision:
        if self._controller is None:
            self._controller = PowerController(CapRules(self.holder, 30, self.annotates_pods))
        readings: dict[str, MeterAnswer | MeterFault] = {}
        for name, watts in self.watts.items():
            if isinstance(watts, MeterFault):
                readings[name] = watts
            else:
                readings[name] = MeterAnswer(watts if isinstance(watts, tuple) else (watts,), self.now)
        decision = self._controller.round(self._view(), readings, self.gpus, now=self.now)
        self._take(decision)
        return decision

    def _view(self) -> PowerView:
        return PowerView(
            domains=tuple(self.domains.values()),
            events=tuple(self.events.values()),
            caps=dict(self.caps),
            nodes=tuple(self.nodes.values()),
            pods=tuple(self.pods),
            services=tuple(self.services),
            policies=(HIGH_ALLOWED,),
            rejected=tuple(self.rejected),
        )

    def _take(self, decision: PowerDecision) -> None:
        for write in decision.caps:
            before = self.caps.get(write.node)
            cap = NodePowerCap.model_validate(write.manifest)
            self.caps[write.node] = cap if before is None else before.model_copy(update={"spec": cap.spec})
        for note in decision.notes:
            (text,) = note.annotations.values()
            marked = {each.uid: replace(each, power_limit=text or "") for each in self.pods if each.uid == note.uid}
            self.pods = [marked.get(each.uid, each) for each in self.pods]
        for delete in decision.deletes:
            del self.caps[delete.key.name]
        for status in decision.statuses:
            objects: dict[str, Any] = self.domains if status.key.kind == "PowerDomain" else self.events
            if status.key.name in objects:
                old = objects[status.key.name]
                parsed = type(old.status).model_validate(status.status)
                objects[status.key.name] = old.model_copy(update={"status": parsed})
        self.said += [(notice.kind, notice.about.name) for notice in decision.notices]
        self.writes += len(decision.caps) + len(decision.statuses) + len(decision.notes)
