"""Plays a scenario with a fault in it and compares the run with the one that had none.

After each step the run must reach the state that the faultless run had there, within a minute of the end of the fault;
only then comes the next step.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.chaos import scenario
from e2e.chaos.calls import Write
from e2e.chaos.faults import Fault
from e2e.chaos.oracle import GRACE_SECONDS, child_state, comparable, differing, two_writers
from e2e.chaos.proxy import Line
from e2e.chaos.scenario import NAME, WHOLE, Step
from e2e.chaos.world import OWN_API, World
from e2e.controlplane.errors import CommandFailed

CONVERGE_SECONDS = 60.0
QUIET_SECONDS = 3.0
SETTLE_SECONDS = 120.0
LOOKED_SECONDS = 10.0
EXTRA_WRITES = 10
"""Writes beyond those of the faultless run that one fault may cause."""

State = Mapping[str, Any]
Act = Callable[[World, str], None]


def no_act(_world: World, _namespace: str) -> None:
    """Nothing but what the proxy does."""


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and the step of the scenario in which it strikes.

    `faults` come into force before the step; `act` is called right after it, and the fault ends when it returns.
    `at` empty: in each step anew. `first`: `act` is called before the step and not after it.
    """

    name: str
    at: str = "grow"
    steps: tuple[Step, ...] = WHOLE
    faults: Callable[[], Sequence[Fault]] = tuple
    act: Act = no_act
    first: bool = False
    grace_seconds: float = GRACE_SECONDS
    strikes: int = 1
    """How many faults it is, for the bound on writes."""
    arguments: tuple[str, ...] = ()
    """Further arguments of the operator; "{prometheus}" stands for the address of the fake one."""
    measured: bool = False
    """Whether the load is asked of Prometheus, and the static one only stands in for it."""
    operators: int = 1
    ignored: tuple[str, ...] = ()
    """Parts of paths that may differ from the faultless run."""
    known: str = ""
    """Why it fails today; empty: it passes."""

    @property
    def played(self) -> tuple[Step, ...]:
        """The steps up to the one in which the fault strikes; all where it strikes in each."""
        names = [step.name for step in self.steps]
        return self.steps[: names.index(self.at) + 1] if self.at else self.steps


@dataclass(slots=True)
class Reference:
    """The faultless run: the state after each step, and the writes of each step."""

    states: dict[str, State] = field(default_factory=dict)
    writes: dict[str, list[Write]] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Writes of the step that has most."""
        return max(len(writes) for writes in self.writes.values())

    def of(self, steps: Sequence[Step]) -> list[Write]:
        """The writes of these steps."""
        return [write for step in steps for write in self.writes[step.name]]


@dataclass(slots=True)
class Result:
    """What a case came to. `wrong` is empty where the oracle has nothing to say."""

    case: Case
    seconds: float = 0.0
    """The longest time from the end of the fault, or from the begin of a step that it strikes, to the state of the
    faultless run."""
    extra_writes: int = 0
    struck: int = 0
    wrong: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.breaches

    @property
    def as_known(self) -> bool:
        """Whether it passes, or fails and is known to."""
        return self.ok == (not self.case.known)


def state_of(world: World, namespace: str) -> State:
    """All that is compared between runs."""
    found: dict[str, Any] = {}
    for kind, path in (
        ("Deployment", f"/apis/apps/v1/namespaces/{namespace}/deployments"),
        ("Service", f"/api/v1/namespaces/{namespace}/services"),
        ("HTTPRoute", f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"),
    ):
        for item in world.items(path):
            found[f"{kind} {item['metadata']['name']}"] = child_state(item)
    for item in world.items(f"{OWN_API}/namespaces/{namespace}/llmservices"):
        found[f"LLMService {item['metadata']['name']}"] = comparable(item.get("status") or {})
    for item in world.items(f"{OWN_API}/gpupools"):
        found[f"GPUPool {item['metadata']['name']}"] = comparable(item.get("status") or {})
    # Namespaces are named after their cases.
    return dict(_renamed(found, namespace))


def _renamed(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(each, namespace) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, namespace) for each in value]
    return value.replace(namespace, "NAMESPACE") if isinstance(value, str) else value


def take(world: World, namespace: str, step: Step, *, measured: bool = False) -> None:
    """Does what the step says, as its user."""
    world.apply("runtimeprofiles", scenario.runtime_profile(step.image))
    path = f"{OWN_API}/namespaces/{namespace}/llmservices/{NAME}"
    if step.rate_rps is None:
        if world.find(path) is not None:
            world.plane.request("DELETE", path)
    else:
        world.apply("llmservices", scenario.service(namespace, step, measured=measured))


def prepare(world: World, namespace: str) -> State:
    """A namespace with a gateway and objects of others in it, which nobody may touch."""
    world.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways"
    world.plane.request("POST", path, scenario.gateway(namespace))
    for manifest in scenario.foreign(namespace):
        world.plane.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", manifest)
    return foreign_state(world, namespace)


def foreign_state(world: World, namespace: str) -> State:
    items = world.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
    return {
        item["metadata"]["name"]: child_state(item) for item in items if not item["metadata"].get("ownerReferences")
    }


def clear(world: World, namespace: str) -> None:
    """Nothing of the service is left, so that the next case begins as the first one did."""
    path = f"{OWN_API}/namespaces/{namespace}/llmservices/{NAME}"
    if world.find(path) is not None:
        world.plane.request("DELETE", path)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    world.wait(f"no pods in {namespace}", lambda: not world.items(pods), timeout_seconds=60)


def _pods(world: World, namespace: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in world.items(f"/api/v1/namespaces/{namespace}/pods")]


def play_faultless(world: World, steps: Sequence[Step], *, namespace: str = "free") -> Reference:
    """Each step until nothing moves. Raises `AssertionError` where an invariant does not hold."""
    reference = Reference()
    foreign = prepare(world, namespace)
    world.judge.new_case(grace_seconds=GRACE_SECONDS)
    for step in steps:
        began, before = time.time(), len(world.proxy.writes)
        world.judge.begin(namespace, step.rate_rps)
        take(world, namespace, step)
        settle(world, namespace, step, began)
        reference.states[step.name] = state_of(world, namespace)
        reference.writes[step.name] = world.proxy.writes[before:]
        last = reference.writes[step.name][-1].at if reference.writes[step.name] else began
        world.say(f"  {step.name}: {len(reference.writes[step.name])} writes in {last - began:.1f} s")
    wrong = differing(foreign, foreign_state(world, namespace)) + [str(each) for each in world.judge.breaches]
    if wrong:
        raise AssertionError(f"the run without faults: {'; '.join(wrong)}")
    clear(world, namespace)
    return reference


def settle(world: World, namespace: str, step: Step, began: float) -> None:
    """Waits until a step that began then (Unix seconds) has done what it is to do and nothing moves."""
    what = f"step {step.name} settles"
    world.wait(what, lambda: _settled(world, namespace, step, began), timeout_seconds=SETTLE_SECONDS)


def _settled(world: World, namespace: str, step: Step, began: float) -> bool:
    last = max([began, *(write.at for write in world.proxy.writes[-1:])])
    if time.time() - last < QUIET_SECONDS:
        return False
    pods = world.items(f"/api/v1/namespaces/{namespace}/pods")
    if step.rate_rps is None:
        return not pods
    service = world.find(f"{OWN_API}/namespaces/{namespace}/llmservices/{NAME}") or {}
    status = service.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    return (
        status.get("observedGeneration") == service["metadata"]["generation"]
        and conditions.get("WorkloadsReady") == "True"
        and conditions.get("RoutingReady") == "True"
        and all(row.get("ready", 0) == row.get("desired", 0) for row in status.get("variants") or [])
        and len(pods) == status.get("desiredReplicas")
    )


def play(world: World, case: Case, reference: Reference, *, namespace: str) -> Result:
    """The steps with the fault; the state of the faultless run must come after each."""
    result = Result(case)
    world.run_operators(case.operators, case.arguments)
    foreign = prepare(world, namespace)
    world.judge.new_case(grace_seconds=case.grace_seconds)
    before = len(world.proxy.writes)
    faults: list[Fault] = []
    began = time.time()
    try:
        for step in case.played:
            world.judge.begin(namespace, step.rate_rps)
            began = time.time()
            if case.at in (step.name, ""):
                world.proxy.faults = case.faults()
                faults += world.proxy.faults
            if case.first and case.at == step.name:
                case.act(world, namespace)
            take(world, namespace, step, measured=case.measured)
            if not case.first and case.at in (step.name, ""):
                case.act(world, namespace)
                began = time.time()
            if not _reach(world, namespace, step, reference, began, result):
                break
    except Exception as error:  # noqa: BLE001 - one case that cannot be played says so, and the others go on
        result.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        world.proxy.faults, world.proxy.line = (), Line.OPEN
    result.struck = sum(fault.hits for fault in faults)
    mine = [write for write in world.proxy.writes[before:] if write.done]
    result.extra_writes = len(mine) - len(reference.of(case.played))
    if world.last_sample_at < began - LOOKED_SECONDS:
        result.wrong.append(
            f"nobody looked: no sample was taken in the last {time.time() - world.last_sample_at:.0f} s"
        )
    if case.at and faults and not result.struck:
        result.wrong.append("the fault never struck")
    if result.extra_writes > EXTRA_WRITES * max(result.struck if case.at == "" else case.strikes, 1):
        result.wrong.append(f"{result.extra_writes} extra writes: {_more(mine, reference.of(case.played))}")
    result.wrong += two_writers(mine)
    result.breaches = [str(breach) for breach in world.judge.breaches]
    result.wrong += [f"of others: {each}" for each in differing(foreign, foreign_state(world, namespace))]
    try:
        clear(world, namespace)
    except TimeoutError as error:
        result.wrong.append(f"{error}: {', '.join(_pods(world, namespace)[:6])}")
    return result


def _more(found: Sequence[Write], expected: Sequence[Write]) -> str:
    """Of what there were more writes, and how many more."""
    kinds = [Counter(f"{write.call.verb} {write.call.resource}" for write in writes) for writes in (found, expected)]
    return ", ".join(f"{count} {kind}" for kind, count in (kinds[0] - kinds[1]).most_common())


def _reach(world: World, namespace: str, step: Step, reference: Reference, began: float, result: Result) -> bool:
    """Waits for the state that the faultless run had after this step; says what differs where it does not come."""
    expected = reference.states[step.name]
    while True:
        world.tend()
        since = max([began, *(fault.ended_at for fault in world.proxy.faults if fault.ended_at is not None)])
        try:
            wrong = [each for each in differing(expected, state_of(world, namespace)) if not _may(each, result.case)]
        except (OSError, CommandFailed) as error:
            wrong = [str(error)]
        if not wrong:
            if result.case.at in (step.name, ""):
                result.seconds = max(result.seconds, time.time() - since)
            return True
        if time.time() - since > CONVERGE_SECONDS:
            result.wrong.append(f"after {step.name}, not the state of the faultless run: " + "; ".join(wrong[:6]))
            return False
        time.sleep(0.2)


def _may(difference: str, case: Case) -> bool:
    return any(part in difference for part in case.ignored)
