"""The nodes of domains as the capping policy sees them: their GPUs with board, UUID and priority. Pure.

UUIDs and the limits of boards come from the agent of the node. Until it has reported, the number of GPUs comes from the
node's allocatable resources and the board from its GPU product label and the catalogue.

The priority of a GPU is that of the LLMService whose pod is on it, as the agent reports it. A GPU on which it reports
none has the highest priority of the pods of the node that it reports on no GPU, so that no service is capped for
another; where it knows of no pods, that is the same for all. Pods of others count as Normal; without any pod it is Low.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import ServicePriority
from medley_operator.api.v1alpha1.power import GpuPowerStatus, NodePowerCapStatus
from medley_operator.domain.cluster.policies import Policies, bounds_by_namespace
from medley_operator.domain.power.view import PowerView
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.labels import SERVICE
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.views import GPU_PRODUCT_LABELS, GPU_RESOURCES, NodeView, PodView
from medley_planner.catalog import CATALOGUE
from medley_planner.model import Priority
from medley_planner.power import Board, CappedGpu, CappedNode

IDLE_SHARE = 0.1
"""A part of a board's highest limit; drivers report 0.08 to 0.2 for idle data-centre boards."""
LEAST_CAP_SHARE = 0.5
"""Least cap that is counted on before an agent reports the board's own, as a part of its highest."""
_ORDER = (Priority.LOW, Priority.NORMAL, Priority.HIGH)


@dataclass(frozen=True, slots=True)
class Member:
    """A node with its GPUs. `unknown`: what is missing to count its watts; "" where nothing is."""

    name: str
    labels: Mapping[str, str]
    gpus: tuple[CappedGpu, ...] = ()
    unknown: str = ""

    def capped(self, non_gpu_watts: float) -> CappedNode:
        return CappedNode(self.name, non_gpu_watts, self.gpus)


@dataclass(frozen=True, slots=True)
class _FoundMember:
    """A member, and what it was made from."""

    node: NodeView
    status: NodePowerCapStatus | None
    held: Mapping[str, Priority]
    inventory: tuple[object, ...]
    member: Member


@dataclass(slots=True)
class Members:
    """Finds the members of a view. Equal nodes are the same objects from round to round."""

    _known: dict[str, _FoundMember] = field(default_factory=dict)

    def find(self, view: PowerView) -> dict[str, Member]:
        """All nodes of the view, by name."""
        priorities = pod_priorities(view)
        on_node: dict[str, list[PodView]] = {}
        for pod in view.pods:
            if pod.place and not pod.ended and any(pod.gpus.get(name) for name in GPU_RESOURCES):
                on_node.setdefault(pod.place, []).append(pod)
        self._known = {node.name: self._one(node, view, on_node, priorities) for node in view.nodes}
        return {name: known.member for name, known in self._known.items()}

    def _one(
        self,
        node: NodeView,
        view: PowerView,
        on_node: Mapping[str, list[PodView]],
        priorities: Mapping[ServiceKey, Priority],
    ) -> _FoundMember:
        cap, known = view.caps.get(node.name), self._known.get(node.name)
        status = None if cap is None else cap.status
        held = {_pod_name(pod): _priority(pod, priorities) for pod in on_node.get(node.name, ())}
        if known is not None and known.node is node and known.status is status and known.held == held:
            return known
        reported = () if status is None else tuple(status.gpus)
        inventory = (node.labels, node.allocatable, *map(_inventory, reported))
        if known is not None and known.inventory == inventory and known.held == held:
            return _FoundMember(node, status, held, inventory, known.member)
        return _FoundMember(node, status, held, inventory, _member(node, reported, held))


def pod_priorities(view: PowerView) -> dict[ServiceKey, Priority]:
    """The priority that each service may have: what it asks for, within what policies let its namespace ask for."""
    given = Policies(view.policies, {name: seen.labels for name, seen in view.namespaces.items()}, view.rejected)
    bounds = bounds_by_namespace(view.services, given)
    found: dict[ServiceKey, Priority] = {}
    for service in view.services:
        allowed = bounds[service.metadata.namespace]
        asked = ServicePriority.NORMAL if allowed.unknown is not None else service.spec.priority
        found[ServiceKey.of(service)] = Priority(allowed.priority(asked).value)
    return found


def synthetic_uuid(node: str, index: int) -> str:
    """Stands for a GPU of a node whose agent has not reported."""
    return f"{node}/{index}"


def is_synthetic(uuid: str, node: str) -> bool:
    return uuid.startswith(f"{node}/")


def _member(node: NodeView, reported: Iterable[GpuPowerStatus], held: Mapping[str, Priority]) -> Member:
    highest = max(held.values(), key=_ORDER.index, default=Priority.LOW)
    reported = tuple(reported)
    placed = {name for gpu in reported for name in gpu.pods}
    # Those that no GPU has yet may come to any that is free.
    on_free = max((held[name] for name in held.keys() - placed), key=_ORDER.index, default=Priority.LOW)
    product = next((node.labels[label] for label in GPU_PRODUCT_LABELS if node.labels.get(label)), "")
    if not reported:
        count = max((node.allocatable.get(name, 0) for name in GPU_RESOURCES), default=0)
        board = _catalogue_board(product)
        if count and board is None:
            return Member(node.name, node.labels, unknown=f"node {node.name} has {count} GPUs of board {product!r}")
        gpus = [CappedGpu(synthetic_uuid(node.name, i), board, highest) for i in range(count) if board is not None]
        return Member(node.name, node.labels, tuple(gpus))
    found = []
    for gpu in reported:
        own = _board(gpu) or _catalogue_board(gpu.product or product)
        if own is None:
            unknown = f"GPU {gpu.uuid} of node {node.name} does not report its power limits"
            return Member(node.name, node.labels, unknown=unknown)
        on_it = [held.get(name, Priority.NORMAL) for name in gpu.pods]
        priority = max(on_it, key=_ORDER.index, default=on_free)
        found.append(CappedGpu(gpu.uuid, own, priority))
    return Member(node.name, node.labels, tuple(found))


def _board(gpu: GpuPowerStatus) -> Board | None:
    """As its driver reports it."""
    most = gpu.max_cap_watts or gpu.default_cap_watts
    if most is None or gpu.min_cap_watts is None or not 0 < gpu.min_cap_watts <= most:
        return None
    return Board(gpu.product or gpu.uuid, IDLE_SHARE * most, float(gpu.min_cap_watts), float(most))


def _catalogue_board(product: str) -> Board | None:
    known = find_gpu(product, CATALOGUE) if product else None
    if known is None:
        return None
    return Board(known.name, IDLE_SHARE * known.watts, LEAST_CAP_SHARE * known.watts, known.watts)


def _inventory(gpu: GpuPowerStatus) -> object:
    """The part of a GPU's report that what is decided rests on: not its draw, nor what is in force."""
    return gpu.uuid, gpu.product, gpu.min_cap_watts, gpu.max_cap_watts, gpu.default_cap_watts, tuple(gpu.pods)


def _priority(pod: PodView, priorities: Mapping[ServiceKey, Priority]) -> Priority:
    name = pod.labels.get(SERVICE)
    if name is None:
        return Priority.NORMAL
    return priorities.get(ServiceKey(pod.namespace, name), Priority.NORMAL)


def _pod_name(pod: PodView) -> str:
    return f"{pod.namespace}/{pod.name}"
