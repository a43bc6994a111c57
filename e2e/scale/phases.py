"""What is measured, phase by phase, on a world that is up: cold start, rest, events while plans are made, new loads."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from e2e.repeated import repeated
from e2e.scale.figures import (
    Solve,
    Target,
    Write,
    busy_share,
    first_after,
    load_to_write,
    look_starts,
    metric_series,
    metric_sum,
    percentile,
    solves_of,
)
from e2e.scale.fleet import UNUSED_PROFILE, Service
from e2e.scale.goals import Figure
from e2e.scale.usage import Span, between, started_at
from e2e.scale.world import ADMIN, OWN_API, World
from medley_operator.domain.values.labels import SERVICE, VARIANT

POLL_SECONDS = 1.0
SETTLE_SECONDS = 1200.0
ANSWER_SECONDS = 15.0
"""An event that is not answered by then counts with this time."""
PAUSE_SECONDS = (0.2, 1.2)
"""Between two changes of children."""
MARK_SECONDS = 2.0
"""Between two changes that start a round each."""
LOAD_SECONDS = 150.0
"""A new load is in the window of Prometheus after one minute, and is looked at half a minute later at the latest."""
LOAD_FACTOR = 1.8
COLD_GOAL, EVENT_GOAL, CORES_GOAL, MEMORY_GOAL = 60.0, 1.5, 0.15, 400.0
LOAD_P50_GOAL, LOAD_P99_GOAL = 3.0, 10.0


def cold_start(world: World, *more: str, calm_seconds: float) -> list[Figure]:
    """The operator starts beside services without any child, until its first plan is there and is all built."""
    world.start_operator(*more)
    begun = started_at(world.operator.pid)
    seconds = metric_sum(world.metrics(), "medley_plan_last_success_timestamp_seconds") - begun
    first = world.moment()
    world.say(f"first plan after {seconds:.1f} s")
    settle(world, calm_seconds)
    metrics = world.metrics()
    shown = metric_series(metrics, "medley_recommended_replicas")
    planned = {(labels["namespace"], labels["service"]) for labels, _ in shown}
    built = time.time() - begun
    deployments = len(metric_series(metrics, "medley_variant_desired_replicas"))
    pods = metric_sum(metrics, "medley_variant_ready_replicas")
    about = f"{first.operator.cpu_seconds:.0f} CPU s of the operator, {first.worker.cpu_seconds:.0f} of the worker"
    return [
        Figure("cold start to first complete plan", seconds, COLD_GOAL, about=about),
        Figure("services planned", len(planned), unit="", about=f"of {len(world.services)}"),
        Figure("Deployments", deployments, unit="", about=f"with {pods:.0f} Ready pods"),
        Figure("built and calm", built, about=f"{calm_seconds:.0f} s of calm included"),
        Figure("operator's peak RSS while it builds", world.moment().operator.peak_mib, unit="MiB"),
    ]


def settle(world: World, calm_seconds: float) -> None:
    """Until all replicas are Ready and nothing was written for so long. Raises `TimeoutError`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        writes = world.writes()
        quiet = time.time() - (writes[-1].done if writes else 0.0)
        if quiet >= calm_seconds and _all_ready(world.metrics()):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the fleet is not settled after {SETTLE_SECONDS:.0f} s; last written: {writes[-1:]}")
        time.sleep(min(max(POLL_SECONDS, calm_seconds - quiet), 5.0))


def _all_ready(metrics: str) -> bool:
    desired = metric_sum(metrics, "medley_variant_desired_replicas")
    return desired > 0 and desired == metric_sum(metrics, "medley_variant_ready_replicas")


def restart(world: World, *more: str, calm_seconds: float) -> list[Figure]:
    """The operator ends and starts anew on the settled fleet, with the chart's own arguments."""
    world.stop_operator()
    at = time.time()
    world.start_operator(*more)
    seconds = metric_sum(world.metrics(), "medley_plan_last_success_timestamp_seconds") - started_at(world.operator.pid)
    settle(world, calm_seconds)
    written = [each for each in world.writes() if each.received > at]
    children = [each for each in written if not each.subresource]
    return [
        Figure("restart to first plan", seconds),
        Figure("children written because of a restart", len(children), unit="", about=_kinds(children)),
        Figure("statuses written because of a restart", len(written) - len(children), unit=""),
    ]


def rest(world: World, *, seconds: float) -> list[Figure]:
    """Nothing happens."""
    before, at = world.moment(), time.time()
    time.sleep(seconds)
    span, after = between(before, world.moment()), world.moment()
    written = [each for each in world.writes() if each.received > at]
    return [
        Figure(f"writes in {seconds / 60:.0f} min of rest", len(written), 0, unit="", about=_kinds(written)),
        Figure("operator at rest", span.operator_cores, CORES_GOAL, "cores", _machine(span)),
        Figure("planning worker at rest", span.worker_cores, unit="cores"),
        Figure("operator's RSS", after.operator.peak_mib, MEMORY_GOAL, "MiB", "the most since its start"),
        Figure("planning worker's RSS", after.worker.peak_mib, unit="MiB", about="the most since its start"),
    ]


def events(world: World, *, samples: int, seed: int = 0) -> list[Figure]:
    """Others change children one by one, each once, while round after round is started."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    targets = draw.sample(_deployments(world), k=samples)
    before, began = world.moment(), time.time()
    with _restless(world):
        for index, target in enumerate(targets):
            # The count of replicas, and a label: both are the operator's to put back.
            body = {"spec": {"replicas": 0}} if index % 2 else {"metadata": {"labels": {VARIANT: None, SERVICE: None}}}
            world.patch(f"/apis/apps/v1/namespaces/{target.namespace}/deployments/{target.name}", body)
            time.sleep(draw.uniform(*PAUSE_SECONDS))
        time.sleep(ANSWER_SECONDS)
    ended, span = time.time(), between(before, world.moment())
    ours, theirs = world.writes(), [each for each in world.writes(ADMIN) if each.received > began]
    taken = [_answer_seconds(ours, first_after(theirs, target, began)) for target in targets]
    busy = busy_share(world.operator.log.read_text(errors="replace"), since=began, until=ended)
    about = f"{samples} samples; rounds ran {busy:.0%} of the time"
    return [
        Figure("event to write, p50", percentile(taken, 0.5), about=about),
        Figure("event to write, p99", percentile(taken, 0.99), EVENT_GOAL, about=f"longest {max(taken):.2f} s"),
        Figure("operator while events come", span.operator_cores, None, "cores", _machine(span)),
    ]


def _answer_seconds(ours: list[Write], theirs: Write | None) -> float:
    answer = None if theirs is None else first_after(ours, theirs.target, theirs.received)
    return ANSWER_SECONDS if answer is None or theirs is None else max(0.0, answer.received - theirs.done)


def _deployments(world: World) -> list[Target]:
    """Those that the operator made and that are there."""
    known: dict[Target, bool] = {}
    for write in world.writes():
        if write.target.resource == "deployments" and write.good and not write.subresource:
            known[write.target] = write.verb != "delete"
    return [target for target, there in known.items() if there]


def _restless(world: World) -> AbstractContextManager[None]:
    """An annotation of a profile that nobody uses changes all the time, so that one round follows another."""
    counts = itertools.count(1)

    def mark() -> None:
        annotations = {"count": str(next(counts))}
        world.patch(f"{OWN_API}/runtimeprofiles/{UNUSED_PROFILE}", {"metadata": {"annotations": annotations}})

    return repeated(mark, every_seconds=MARK_SECONDS)


def loads(world: World, *, trials: int, services: int, seed: int = 0) -> list[Figure]:
    """The load of some services grows at once; then that of others."""
    draw = random.Random(seed + 1)  # noqa: S311 - not for secrets
    chosen = draw.sample(world.services, k=trials * services)
    taken: list[float] = []
    with _sampled_solves(world) as solves:
        for trial in range(trials):
            part = chosen[trial * services : (trial + 1) * services]
            taken += _one_trial(world, part, solves)
    # Some need no more replicas than they have.
    about = f"{len(taken)} of {len(chosen)} services grew; from the look that led to the write, less the solve"
    taken = taken or [LOAD_SECONDS]
    return [
        Figure("new load to write, p50", percentile(taken, 0.5), LOAD_P50_GOAL, about=about),
        Figure("new load to write, p99", percentile(taken, 0.99), LOAD_P99_GOAL, about=f"longest {max(taken):.2f} s"),
        Figure("solve, mean", *_mean_solve(solves())),
    ]


def _mean_solve(solves: list[Solve]) -> tuple[float]:
    return (sum(each.seconds for each in solves) / max(1, len(solves)),)


def _one_trial(world: World, part: list[Service], solves: Callable[[], list[Solve]]) -> list[float]:
    began = time.time()
    grown = {f"{s.namespace}/{s.name}": replace(s.load, rate_rps=s.load.rate_rps * LOAD_FACTOR) for s in part}
    world.set_loads(grown)
    deadline = time.monotonic() + LOAD_SECONDS
    while len(first := _first_writes(world, part, began)) < len(part) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    time.sleep(2 * POLL_SECONDS)
    looks = look_starts(world.query_log.read_text())
    found = [load_to_write(written, looks=looks, solves=solves()) for written in first.values()]
    return [each for each in found if each is not None]


def _first_writes(world: World, part: list[Service], began: float) -> dict[str, float]:
    """When the first Deployment of each service was written, by the service's name, which begins its children's."""
    first: dict[str, float] = {}
    for write in world.writes():
        if write.received <= began or write.target.resource != "deployments" or write.subresource:
            continue
        for service in part:
            if write.target.namespace == service.namespace and write.target.name.startswith(f"{service.name}-"):
                first.setdefault(service.name, write.received)
    return first


@contextmanager
def _sampled_solves(world: World) -> Iterator[Callable[[], list[Solve]]]:
    """The solves of the block so far, as the operator's own histogram counts them."""
    samples = list[tuple[float, float, float]]()

    def sample() -> None:
        text = world.metrics()
        count, total = (metric_sum(text, f"medley_plan_solve_seconds_{part}") for part in ("count", "sum"))
        samples.append((time.time(), count, total))

    sample()
    with repeated(sample, every_seconds=POLL_SECONDS):
        yield lambda: solves_of(list(samples))


def _kinds(writes: list[Write]) -> str:
    counts: dict[str, int] = {}
    for each in writes:
        what = f"{each.target.resource}/{each.subresource}".rstrip("/")
        counts[what] = counts.get(what, 0) + 1
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _machine(span: Span) -> str:
    return f"over {span.seconds:.0f} s; worker {span.worker_cores:.2f}, whole machine {span.machine_cores:.2f} cores"
