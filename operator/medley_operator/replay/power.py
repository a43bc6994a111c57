"""Power domains of the replayed world: what they read, the controller's own policy, and the caps that slow engines.

The controller of power is the operator's (`domain.power.controller`), stepped every two seconds on the simulated
nodes. What it writes is what the fleet operator sees in its rounds. Agents report no GPUs, so that all GPUs of a node
are held alike, by the highest priority of the pods on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.api.v1alpha1.power import CapMode, NodePowerCap, PowerDomain, PowerEvent
from medley_operator.domain.feeds.tree import feed_tree
from medley_operator.domain.power.controller import PowerController, PowerDecision
from medley_operator.domain.power.ladders import setting_of
from medley_operator.domain.power.limits import CapRules
from medley_operator.domain.power.view import PowerView
from medley_operator.domain.values.power import GpuHeld, PowerFacts
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, NodeView
from medley_operator.replay.agenda import Agenda
from medley_operator.replay.cluster import SimulatedCluster
from medley_operator.replay.energy import EnergyMeter
from medley_operator.replay.objects import OwnObjects
from medley_planner.capacity.watts import clock_under_cap
from medley_planner.layout import UNCAPPED_PERCENT
from medley_planner.power import GpuSetting, MeterAnswer

CONTROL_SECONDS = 2.0
_RULES = CapRules("replay", 30)


@dataclass(slots=True)
class PowerControl:
    """`held` is called when a node's GPUs are held to another clock. `most_pressure`: the largest part of its budget in
    force that each domain drew, as a mean of two seconds."""

    own: OwnObjects
    cluster: SimulatedCluster
    agenda: Agenda
    meter: EnergyMeter
    held: Callable[[str, int], None]
    domains: dict[str, PowerDomain] = field(default_factory=dict)
    events: dict[str, PowerEvent] = field(default_factory=dict)
    most_pressure: dict[str, float] = field(default_factory=dict)
    _controller: PowerController = field(default_factory=lambda: PowerController(_RULES))
    _caps: dict[str, NodePowerCap] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    """When the clock of a node last changed, in Unix seconds."""

    def __post_init__(self) -> None:
        self.domains = {domain.metadata.name: domain for domain in self.own.power_domains}
        self.events = {event.metadata.name: event for event in self.own.power_events}

    def facts(self) -> PowerFacts:
        """As the fleet operator sees them."""
        caps = {node: (GpuHeld(clock, changed_at=self._since.get(node)),) for node, clock in self.meter.clocks.items()}
        return PowerFacts(tuple(self.domains.values()), tuple(self.events.values()), caps)

    def control(self) -> None:
        """Reads the domains, and takes a step of the controller. The meter must have counted all pods."""
        pools = {pool.metadata.name: pool for pool in self.own.pools}
        now = self.agenda.unix_seconds
        nodes = tuple(self._named(node, pools) for node in self.cluster.node_views())
        tree = feed_tree(self.facts(), now=now)
        watts = dict.fromkeys(self.domains, 0.0)
        for node in nodes:
            fed = tree.of_node(node.labels)
            for name in tree.chain(fed):
                watts[name] += tree.non_gpu_watts(fed) + self._gpu_watts(node)
        for name, drawn in watts.items():
            part = drawn / (self.domains[name].status.budget_watts or self.domains[name].spec.budget_watts)
            self.most_pressure[name] = max(self.most_pressure.get(name, 0.0), part)
        view = PowerView(
            domains=tuple(self.domains.values()),
            events=tuple(self.events.values()),
            caps=dict(self._caps),
            nodes=nodes,
            pods=self.cluster.pod_views(),
            services=self.own.services,
            policies=self.own.policies,
        )
        readings = {name: MeterAnswer((drawn,), now) for name, drawn in watts.items()}
        self._take(self._controller.round(view, readings, now=now))

    def _named(self, node: NodeView, pools: dict[str, GPUPool]) -> NodeView:
        """With the label by which its boards are known."""
        gpu = pools[self.cluster.nodes.named(node.name).pool].spec.gpu
        return replace(node, labels={**node.labels, GPU_PRODUCT_LABELS[0]: gpu})

    def _gpu_watts(self, node: NodeView) -> float:
        """The mean since the last step."""
        seen = self.cluster.nodes.named(node.name)
        return self.meter.by_node[node.name] / CONTROL_SECONDS + self.meter.idle_watts(seen.pool, seen.free)

    def _take(self, decision: PowerDecision) -> None:
        late = max((domain.spec.actuation_seconds for domain in self.domains.values()), default=0)
        for write in decision.caps:
            before, cap = self._caps.get(write.node), NodePowerCap.model_validate(write.manifest)
            self._caps[write.node] = cap if before is None else before.model_copy(update={"spec": cap.spec})
            if not write.renewal:
                self.agenda.after(late, partial(self._hold, write.node, _in_force(cap)))
        for gone in decision.deletes:
            del self._caps[gone.key.name]
        for each in decision.statuses:
            if each.key.kind == "PowerDomain":
                self.domains[each.key.name] = _with_status(self.domains[each.key.name], each.status)
            else:
                event = self.events[each.key.name]
                status = type(event.status).model_validate(each.status)
                self.events[each.key.name] = event.model_copy(update={"status": status})

    def _hold(self, node: str, setting: GpuSetting) -> None:
        found = next((each for each in self.cluster.nodes.all if each.name == node and each.gone_at is None), None)
        if found is None:
            return
        clock, limit = setting.clock_fraction, self.meter.limit_watts[found.pool]
        if setting.cap_watts is not None:
            clock = min(clock, clock_under_cap(setting.cap_watts / limit))
        percent = max(int(UNCAPPED_PERCENT * clock + 1e-6), 1)
        if percent != self.meter.clock(node):
            self._since[node] = self.agenda.unix_seconds
            self.held(node, percent)


def _in_force(cap: NodePowerCap) -> GpuSetting:
    """The deepest limit of a node's GPUs."""
    return setting_of(cap.spec.others.limit) if cap.spec.mode is CapMode.ENFORCE else GpuSetting()


def _with_status(domain: PowerDomain, status: Manifest) -> PowerDomain:
    return domain.model_copy(update={"status": type(domain.status).model_validate(status)})
