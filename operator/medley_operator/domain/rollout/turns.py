"""The services of one pass of the actuator, each with its replicas: what stock, readiness and load allow of them now.

What services take from each other is decided here, for all of them together: who gives GPUs to whom where both wait,
and whose replica moves off a node that is going. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.cluster.children import Children
from medley_operator.domain.cluster.leaving import LeavingNodes
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.firewall import Firewall, guarded
from medley_operator.domain.rollout.deletion_costs import ordered
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.intent import ServiceIntent
from medley_operator.domain.rollout.moves import Move, Standing, leaving_by_variant, next_move
from medley_operator.domain.rollout.removals import Carries, checked, fresh_replicas
from medley_operator.domain.rollout.service_round import ServiceRound, mix_capacities, routed_service
from medley_operator.domain.rollout.shrink import bounded, routed
from medley_operator.domain.rollout.step_memory import Moving, ServiceSteps, Shrink, Surplus
from medley_operator.domain.rollout.steps import PoolUse, VariantScale, may_be_tied, next_replicas, untied
from medley_operator.domain.routing.routers import router_of
from medley_operator.domain.values.labels import DEPLOYMENT, OWNER_KIND
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, ObjectKey
from medley_operator.domain.values.stock import Ledger
from medley_operator.domain.values.views import Autoscaler, PodView

GOES_SECONDS = 60.0
"""A surplus that may go and has not shrunk for so long makes no room: nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The replicas that a service may have now, as far as others are concerned, and its move off a node."""

    wanted: Mapping[str, int]
    move: Move


@dataclass(frozen=True, slots=True)
class ServiceTurn:
    """A service of this pass: what it is to have, and what it has. `wanted`: the replicas that it may have now, as far
    as others are concerned."""

    intent: ServiceIntent
    round: ServiceRound
    pods: tuple[PodView, ...]
    scales: Mapping[str, VariantScale]
    uses: Mapping[str, PoolUse]
    move: Move = field(default_factory=Move)
    wanted: Mapping[str, int] = field(default_factory=dict)

    def shows(self, intent: ServiceIntent, service: LLMService, own: Children, pods: tuple[PodView, ...]) -> bool:
        """Whether a turn that begins with these would be equal."""
        same = self.intent is intent and self.round.candidate.service is service
        return same and self.round.own == own and self.pods == pods

    @property
    def allowed(self) -> Allowed:
        """Its share of what stock, nodes and other services allow."""
        return Allowed(self.wanted, self.move)

    @property
    def about(self) -> ObjectKey:
        return ObjectKey.of(OWNER_KIND, self.intent.candidate.service.metadata)

    @property
    def is_kept(self) -> bool:
        return self.round.goal.kind is GoalKind.KEPT

    @property
    def carries(self) -> Carries:
        choice = self.round.candidate.choice
        load_rps = choice.demand.rate_rps if choice is not None else 0.0
        return Carries(mix_capacities(self.round, self.intent.served), load_rps, self.round.goal.replicas)

    def keeps_load(self, replicas: Mapping[str, int]) -> bool:
        """Whether the load is carried by what stays Ready of so many replicas, also without one of them."""
        staying = {name: each.staying(replicas.get(name, 0)) for name, each in self.round.running.items()}
        return self.carries.spares_one(staying)

    def goes(self, name: str, steps: ServiceSteps, view: ActuatorView) -> bool:
        """Whether a shrink of the variant will be made once it may: its route is well, no other scales it, and it did
        not wait for long in vain, whatever else keeps it."""
        known = steps.surplus.get(name, Surplus(self.scales[name].current, view.at_seconds))
        if known.replicas == self.scales[name].current and view.at_seconds - known.since >= GOES_SECONDS:
            return False
        service = self.round.candidate.service
        if router_of(service).problem(routed_service(self.round, view), planned=True) is not None:
            return False
        deployment = ObjectKey(DEPLOYMENT, service.metadata.namespace, self.uses[name].deployment)
        return not view.autoscalers.get(deployment, Autoscaler()).replicas


Turns = Mapping[ServiceKey, ServiceTurn]


def decided(
    turns: Turns,
    view: ActuatorView,
    steps: Mapping[ServiceKey, ServiceSteps],
    nodes: LeavingNodes,
    wall: Firewall,
    *,
    now: float,
) -> dict[ServiceKey, ServiceTurn]:
    """The turns with the replicas that they may have now, without those that this program fails on. `now` in Unix
    seconds."""
    ledger = cache(partial(stock_ledger, view))

    def of(key: ServiceKey) -> ServiceSteps:
        return steps.get(key, ServiceSteps())

    if nodes.nodes:
        moving = _Moving(view, nodes, ledger, now)
        moved = {key: wall.guard(turn.about, partial(moving, turn, of(key).moving)) for key, turn in turns.items()}
        turns = {key: turn for key, turn in moved.items() if isinstance(turn, ServiceTurn)}
    scales = {key: turn.scales for key, turn in turns.items() if not turn.is_kept}
    applied = {key: next_replicas(variants) for key, variants in scales.items()}
    # The usual case is that no pass needs to count the stock.
    if may_be_tied(scales, applied):
        uses = {key: turns[key].uses for key in scales}
        applied = untied(
            scales,
            applied,
            uses=uses,
            ledger=ledger(),
            keeps_load=lambda key, replicas: turns[key].keeps_load(replicas),
            goes=lambda key, name: guarded(turns[key].about, partial(turns[key].goes, name, of(key), view)) is True,
        )
    return {key: replace(turn, wanted=applied.get(key, {})) for key, turn in turns.items()}


@dataclass(slots=True)
class _Moving:
    """Gives a turn one replica more where one moves off a node that is going: one a pass in each pool, `taken`."""

    view: ActuatorView
    nodes: LeavingNodes
    ledger: Callable[[], Ledger]
    now: float
    taken: set[str] = field(default_factory=set)

    def __call__(self, turn: ServiceTurn, memory: Moving) -> ServiceTurn:
        running, planned = turn.round.running, turn.round.goal.replicas
        leaving = leaving_by_variant(running, planned, self.nodes.ready_pods(turn.pods))
        leaving = {name: pods for name, pods in leaving.items() if self._may_grow(turn, name)}
        if turn.is_kept or not leaving:
            return turn
        move = next_move(
            Standing(running, planned, turn.pods, leaving),
            memory,
            has_room=partial(self._has_room, turn),
            pools=self.nodes.pools,
            at_seconds=self.view.at_seconds,
            now=self.now,
        )
        scales = dict(turn.scales)
        if move.variant:
            self.taken.add(turn.uses[move.variant].pool)
            scales[move.variant] = replace(scales[move.variant], desired=scales[move.variant].desired + 1)
        return replace(turn, move=move, scales=scales)

    def _has_room(self, turn: ServiceTurn, name: str) -> bool:
        use = turn.uses[name]
        return use.pool not in self.taken and self.ledger().free_for(use.pool, use.gpus_per_replica)

    def _may_grow(self, turn: ServiceTurn, name: str) -> bool:
        """Whether the variant can be rendered, and nobody else sets its replicas."""
        namespace, deployment = turn.round.candidate.key.namespace, turn.round.running[name].object_name
        scaler = self.view.autoscalers.get(ObjectKey(DEPLOYMENT, namespace, deployment), Autoscaler())
        return turn.round.candidate.variant(name) is not None and not scaler.replicas


def first_step(turn: ServiceTurn, steps: ServiceSteps, *, at_seconds: float, now: float) -> Shrink:
    """As far as readiness and load allow it; of a service that is kept, all stays. `now` in Unix seconds."""
    running = turn.round.running
    steps = replace(steps, moving=turn.move.memory, surplus=_surplus(turn, steps, at_seconds=at_seconds))
    if turn.is_kept:
        return Shrink({name: variant.replicas for name, variant in running.items()}, None, steps)
    step = bounded(turn.wanted, running, steps, at_seconds=at_seconds)
    step = replace(step, wait_seconds=step.sooner(turn.move.wait_seconds))
    loses = any(name in running and running[name].loses(count) for name, count in step.replicas.items())
    if not loses or dict(turn.wanted) != next_replicas(turn.scales):
        # Nothing Ready goes; or what it gives up to others is as little as can be, and its load is looked at there.
        return step
    return checked(step, running, turn.carries, fresh_replicas(running, turn.pods, now=now))


def _surplus(turn: ServiceTurn, steps: ServiceSteps, *, at_seconds: float) -> dict[str, Surplus]:
    """Variants that may shrink now, by name."""
    counts = {name: each.current for name, each in turn.scales.items() if turn.wanted.get(name, 0) < each.current}
    before = steps.surplus
    return {
        name: before[name] if name in before and before[name].replicas == count else Surplus(count, at_seconds)
        for name, count in counts.items()
    }


def last_step(
    step: Shrink,
    turn: ServiceTurn,
    view: ActuatorView,
    nodes: LeavingNodes,
    weights: Mapping[str, int] | None,
    *,
    busy: Mapping[str, float],
) -> Shrink:
    """The step as far as the route allows it, and the pods that it takes are seen to go first. `busy`: requests of each
    pod, by name."""
    if turn.is_kept:
        return step
    step = routed(step, turn.round.running, weights, at_seconds=view.at_seconds)
    return ordered(step, turn.round.running, turn.pods, view.pods, nodes, busy=busy, at_seconds=view.at_seconds)
