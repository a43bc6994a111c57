"""The operator's loops in simulated time: rounds of the planner, passes of the actuator, as `fleet` runs them.

Nothing is decided here. Each round prepares, plans, checks and concludes, each pass acts, with the functions of
`domain` and of the planner that the operator calls; what they write is carried out on the simulated cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.act import act
from medley_operator.domain.advice import with_advice
from medley_operator.domain.cluster.relevance import bears_on_plans
from medley_operator.domain.conclude import conclude
from medley_operator.domain.passes import Steps
from medley_operator.domain.prepare import prepare
from medley_operator.domain.report.service_conditions import PLAN_READY
from medley_operator.domain.rollout.intent import FleetIntent
from medley_operator.domain.rollout.unchanged import with_former
from medley_operator.domain.speed.calibration import KnownEngines, told_speeds
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.labels import POD
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.views import NodeView, PodView
from medley_operator.fleet.debounce import Debounce
from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.calibrating import WINDOW_SECONDS, learned
from medley_operator.replay.objects import ApiObjects
from medley_operator.replay.routes import object_route
from medley_operator.replay.traffic import Route
from medley_operator.replay.world import World
from medley_operator.settings import Settings
from medley_planner.capacity import GridRatios, TableGroup
from medley_planner.check import CheckMemory, Subject
from medley_planner.fleet_plan import FleetPlan, PlanOrFailure
from medley_planner.model import Problem
from medley_planner.planning import plan_fleet
from medley_planner.variants import Replica

DEADLINE_SECONDS = 10.0
PASS_SECONDS = 0.05
"""From a change to the pass that answers it."""
FIRST_ROUNDS = 3
"""Rounds with pods that start at once, until the fleet that is there at the beginning stands."""
MOST_PASSES = 12
_SLACK_SECONDS = 1e-6
"""The error of sums of seconds."""

Tables = Mapping[TableGroup, tuple[GridRatios, ...]]


class NeverQuiet(RuntimeError):
    """Passes of the actuator do not stop writing, which is a fault of the operator or of the replay."""


class OperatorLoop:
    """Begins with the fleet that it plans for the static workloads. `tables`: simulated capacities."""

    def __init__(self, world: World, tables: Tables) -> None:
        self._world = world
        self._tables = tables
        self._engines: dict[tuple[ServiceKey, str, str], Replica] = {}
        self.objects = ApiObjects(world.scenario.own, world.cluster, world.agenda, self._engine_of)
        self._memory = FleetMemory()
        self._steps = Steps()
        self._intent: FleetIntent | None = None
        self._asked: tuple[Problem, Mapping[str, Subject], PlanOrFailure] | None = None
        self._checks = CheckMemory()
        self.known_engines: KnownEngines = {}
        self._learned_at = 0.0
        self._pass_at = math.inf
        """When the next pass is due."""
        self._pods: Mapping[str, PodView] = {}
        self._nodes: tuple[NodeView, ...] = ()
        times = Settings()
        self._debounce = Debounce(
            idle_seconds=times.debounce_idle_seconds,
            max_seconds=times.debounce_max_seconds,
            resync_seconds=world.scenario.settings.resync_seconds,
            started_at=0.0,
        )
        self.plans = 0
        """Plans that were made; equal problems in a row are planned once."""
        world.routes = self._route

    def begin(self) -> None:
        """The first fleet, Ready at once; then rounds and passes as time goes on. Raises BadReplay where the operator
        plans nothing for a service."""
        world = self._world
        world.cluster.instant = True
        for _ in range(FIRST_ROUNDS):
            self._round()
            world.agenda.run(0.0)
            self._passes()
            world.agenda.run(0.0)
        world.cluster.instant = False
        self._check_planned()
        world.on_change = self._changed
        world.on_pool = self._rewritten
        self._debounce.take(world.now)
        self._arm()

    def _check_planned(self) -> None:
        """Raises BadReplay for a service that the operator refuses to plan."""
        for service in self.objects.own.services:
            found = next((each for each in service.status.conditions if each.type == PLAN_READY), None)
            key = ServiceKey.of(service)
            if not self._world.cluster.of_service(key) and found is not None and found.status == "False":
                raise BadReplay.whole(f"LLMService {key.problem_name}", f"nothing runs for it: {found.message}")

    def _route(self, key: ServiceKey) -> Route:
        pods = self._world.cluster.of_service(key)
        service = next(each for each in self.objects.own.services if ServiceKey.of(each) == key)
        return object_route(service, self.objects.children, pods)

    def _engine_of(self, service: ServiceKey, variant: str, layout: str) -> Replica:
        return self._engines[service, variant, layout]

    def _round(self) -> None:
        world = self._world
        world.advance()
        snapshot = Snapshot.of(
            self.objects.view(),
            profiles=self.objects.own.profiles,
            observations={key: world.observe(key) for key in world.services},
            model_profiles=self.objects.own.model_profiles,
            policies=self.objects.own.policies,
            power=world.power.facts(),
            capacity_tables=self._tables,
            unix_seconds=world.agenda.unix_seconds,
        )
        if world.scenario.settings.calibrates:
            snapshot = replace(snapshot, calibrated=told_speeds(self.known_engines))
        prepared = prepare(snapshot, self._memory)
        self._learn_engines(prepared)
        outcome = with_advice(
            self._planned(prepared.problem, prepared.subjects), self._planned(prepared.advice, prepared.subjects)
        )
        now = utc_text(world.agenda.unix_seconds)
        conclusion = conclude(snapshot, prepared, outcome, self._memory, now=now)
        self._memory = conclusion.memory
        self._intent = with_former(conclusion.intent, self._intent)
        self.objects.write_statuses(conclusion.statuses)
        self._passes()
        if world.scenario.settings.calibrates:
            self._learn_speeds(snapshot)

    def _learn_speeds(self, snapshot: Snapshot) -> None:
        """From the last window, where one has passed: planning uses it in the next round."""
        now = self._world.now
        if now - self._learned_at >= WINDOW_SECONDS and self._world.prometheus_answers:
            self._learned_at = now
            self.known_engines = learned(self.known_engines, snapshot, self._world.scrapes, now=now)

    def _learn_engines(self, prepared: Prepared) -> None:
        for candidate in prepared.services:
            for known in candidate.variants:
                if known.replica is not None:
                    self._engines[candidate.key, known.variant.name, known.layout] = known.replica

    def _planned(self, problem: Problem | None, subjects: Mapping[str, Subject]) -> PlanOrFailure | None:
        if problem is None:
            return None
        asked = self._asked
        if asked is not None and asked[0] == problem and asked[1] == subjects:
            return asked[2]
        last = asked[2] if asked is not None and isinstance(asked[2], FleetPlan) else None
        outcome = plan_fleet(
            problem, subjects, deadline_seconds=DEADLINE_SECONDS, last=last, memory=self._checks, clock=_no_time
        )
        self.plans += 1
        self._asked = problem, subjects, outcome
        return outcome

    def _changed(self) -> None:
        """Everything asks for a pass; what plans rest on asks for a round."""
        cluster = self._world.cluster
        pods, nodes = {view.uid: view for view in cluster.pod_views()}, cluster.node_views()
        bears = nodes is not self._nodes or any(
            bears_on_plans(POD, self._pods.get(uid), pods.get(uid))
            for uid in self._pods.keys() | pods.keys()
            if self._pods.get(uid) is not pods.get(uid)
        )
        self._pods, self._nodes = pods, nodes
        if bears:
            self._mark(POD)
        self._ask_pass(PASS_SECONDS)

    def _rewritten(self, pool: GPUPool) -> None:
        self.objects.rewrite_pool(pool)
        self._mark("GPUPool")
        self._ask_pass(PASS_SECONDS)

    def _mark(self, reason: str) -> None:
        self._debounce.mark(reason, now=self._world.now)
        self._arm()

    def _arm(self) -> None:
        """Notes when the next round is due, as far as is known now."""
        self._world.agenda.after(self._debounce.seconds_until_due(self._world.now), self._round_if_due)

    def _round_if_due(self) -> None:
        if self._debounce.seconds_until_due(self._world.now) <= _SLACK_SECONDS:
            self._debounce.take(self._world.now)
            self._round()
            self._arm()

    def _ask_pass(self, delay_seconds: float) -> None:
        at = self._world.now + delay_seconds
        if at < self._pass_at:
            self._pass_at = at
            self._world.agenda.at(at, self._pass_if_due)

    def _pass_if_due(self) -> None:
        if self._world.now >= self._pass_at - _SLACK_SECONDS:
            self._passes()

    def _passes(self) -> None:
        """Passes until one writes nothing, as they follow each other at once."""
        self._pass_at = math.inf
        if self._intent is None:
            return
        now = utc_text(self._world.agenda.unix_seconds)
        for _ in range(MOST_PASSES):
            decision, self._steps = act(self._intent, self.objects.view(), self._steps, now=now)
            self.objects.carry_out(decision)
            if not (decision.applies or decision.deletes or decision.pod_notes):
                break
            self._world.dirty()
        else:
            raise NeverQuiet(f"the actuator still writes after {MOST_PASSES} passes at {self._world.now:g} s")
        if decision.wait_seconds is not None:
            self._ask_pass(max(decision.wait_seconds, PASS_SECONDS))


def _no_time() -> float:
    """A clock that stands: plans of a replay do not depend on how busy the machine is."""
    return 0.0
