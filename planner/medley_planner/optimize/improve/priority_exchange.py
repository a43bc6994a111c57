"""Low priority gives way: no service goes short of what one of lower priority holds, if one replica for one would help.

In large groups priorities are weights, and what they weigh against each other is rounded; here the order is strict.
Where demand is left out, each service, of high priority first, takes replicas that what is free has room for, then ones
that a service of lower priority gives up. Each step serves more of the higher service, so there is an end.

A service that is served nothing of a class may take another cut of it, as long as nothing of the first one is served.

Among services of one priority, what each was served so far goes before what others ask beyond theirs (`held_rps`): a
service whose load jumps gets what is free, and takes nothing that serves others. Such a service may give up several
replicas for one, and never so many that its own held part is not served.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medley_planner.optimize.program.distribute import distribute, missed_rps, unmet_rps
from medley_planner.optimize.program.fallback import priority_rank
from medley_planner.optimize.program.solve import Answer, fleet_of
from medley_planner.optimize.task.coverage import Coverage
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import obeys, shortfall, spare
from medley_planner.optimize.task.task import Task

_LEAST_GAIN = 2e-4
"""Share of a service's rate; less is not worth a replica."""
_NOTHING = 1e-6
"""A class of which less than this part is served counts as not served at all."""
_STEPS = (16, 4, 1)
"""Replicas that change hands at once; the last one makes sure that none is overlooked."""
_FOR_ONE = (1, 2, 4, 8)
"""As many replicas may make room for one."""


def give_way(
    coverages: Sequence[Coverage], tasks: Sequence[Task], answers: Sequence[Answer], room: Room
) -> tuple[list[Task], tuple[Answer, ...]]:
    """The same tasks and answers where all demand is served, or all services are of one priority and hold nothing."""
    alike = len({task.service.priority for task in tasks}) < 2 and not any(task.service.held_rps for task in tasks)
    if alike or all(answer.split.complete for answer in answers):
        return list(tasks), tuple(answers)
    state = _State(coverages, list(tasks), list(answers), room)
    order = sorted(range(len(tasks)), key=lambda index: (priority_rank(tasks[index]), index))
    changed = True
    while changed:
        changed = False
        for index in order:
            for step in _STEPS:
                while state.serve_more(index, step) or state.serve_held(index, step):
                    changed = True
    return state.tasks, tuple(state.answers)


class _State:
    def __init__(self, coverages: Sequence[Coverage], tasks: list[Task], answers: list[Answer], room: Room) -> None:
        self._coverages = coverages
        self.tasks = tasks
        self.answers = answers
        self._left = room.after_all(fleet_of(tasks, answers))
        self._held_rps: dict[Task, float] = {}

    def serve_more(self, index: int, step: int) -> bool:
        """`step` replicas more for this service, from what is free or from a lower one; whether that was done."""
        task = self.tasks[index]
        if unmet_rps(task, self.answers[index].split) <= _LEAST_GAIN * task.rate_rps:
            return False
        return self._exchange(index, step, held=False)

    def serve_held(self, index: int, step: int) -> bool:
        """The same for the part that the service holds, from others of its priority that have more than theirs."""
        task = self.tasks[index]
        if self._beyond_held(task, self.answers[index].replicas) >= -_LEAST_GAIN * task.rate_rps:
            return False
        return self._exchange(index, step, held=True)

    def _beyond_held(self, task: Task, replicas: Sequence[int]) -> float:
        """Requests per second that the service is served beyond the part that it holds; below 0 where it is short."""
        if task not in self._held_rps:
            self._held_rps[task] = _held_rps(task)
        return _served_rps(task, replicas) - self._held_rps[task]

    def _cuts(self, index: int) -> list[Task]:
        """The service as it is, and with each other cut of a class of which nothing is served."""
        task = self.tasks[index]
        served = [part < 1 - _NOTHING for part in self.answers[index].split.unmet]
        if all(served) or not self._coverages[index].open:
            return [task]
        return [task, *self._coverages[index].others(task, served)]

    def _exchange(self, index: int, step: int, *, held: bool) -> bool:
        answer = self.answers[index]
        missed = missed_rps(self.tasks[index], answer.split)
        order = sorted(range(len(answer.replicas)), key=lambda variant: self.tasks[index].cost[variant])
        for task, variant in ((task, variant) for task in self._cuts(index) for variant in order):
            replicas = _with_more(task, answer.replicas, variant, step)
            if replicas is None:
                continue
            source = self._source(index, variant, step, held=held)
            if source is None:
                continue
            split = distribute(task, replicas)
            # Many at once only while they are all needed.
            if missed_rps(task, split) >= missed - _LEAST_GAIN * task.rate_rps or (step > 1 and split.complete):
                continue
            if held and step > 1 and self._beyond_held(task, replicas) > 0:
                continue
            donor, rest, self._left = source
            self.tasks[index], self.answers[index] = task, Answer(replicas, split, proven=False)
            if donor is not None:
                self.answers[donor] = Answer(tuple(rest), distribute(self.tasks[donor], rest), proven=False)
            return True
        return False

    def _source(
        self, index: int, variant: int, step: int, *, held: bool
    ) -> tuple[int | None, Sequence[int], Room] | None:
        """The services that give up replicas for `step` replicas of the variant, and what is left then; none where that
        is free."""
        task = self.tasks[index]
        taken = self._left.after(task, [step if other == variant else 0 for other in range(len(task.variants))])
        if taken.fits():
            return None, (), taken
        donors = self._holders_of_more if held else self._donors
        for donor, rest in donors(task, taken.exceeded(), step):
            given = [new - old for new, old in zip(rest, self.answers[donor].replicas, strict=True)]
            left = taken.after(self.tasks[donor], given)
            if left.fits():
                return donor, rest, left
        return None

    def _donors(self, task: Task, exceeded: frozenset[int], step: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Lower services whose replicas take part of all that is exceeded, the lowest first, with what they keep."""
        own = priority_rank(task)
        lower = [other for other, rival in enumerate(self.tasks) if priority_rank(rival) > own]
        for other in sorted(lower, key=lambda other: (-priority_rank(self.tasks[other]), other)):
            rival, replicas = self.tasks[other], self.answers[other].replicas
            for place, (held, count) in enumerate(zip(rival.variants, replicas, strict=True)):
                if not exceeded <= {row for row, _ in self._left.uses(held)}:
                    continue
                for many in (step * times for times in _FOR_ONE if step * times <= count):
                    rest = _without(rival, replicas, place, many)
                    if rest is not None:
                        yield other, rest

    def _holders_of_more(self, task: Task, exceeded: frozenset[int], step: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Services of the same priority that are served beyond what they hold, those with most of it first, and what
        they keep: several replicas may make room for one."""
        rank = priority_rank(task)
        beyond = {
            other: self._beyond_held(rival, self.answers[other].replicas)
            for other, rival in enumerate(self.tasks)
            if rival is not task and priority_rank(rival) == rank
        }
        for other in sorted(beyond, key=lambda other: (-beyond[other], other)):
            rival, replicas = self.tasks[other], self.answers[other].replicas
            if beyond[other] <= _LEAST_GAIN * rival.rate_rps:
                return
            for place, (variant, count) in enumerate(zip(rival.variants, replicas, strict=True)):
                if not exceeded <= {row for row, _ in self._left.uses(variant)}:
                    continue
                for many in (step * times for times in _FOR_ONE if step * times <= count):
                    rest = _without(rival, replicas, place, many)
                    if rest is not None and self._beyond_held(rival, rest) >= -_LEAST_GAIN * rival.rate_rps:
                        yield other, rest


def _served_rps(task: Task, replicas: Sequence[int]) -> float:
    return task.rate_rps - unmet_rps(task, distribute(task, replicas))


def _held_rps(task: Task) -> float:
    """Requests per second that the service holds, and no more than its placed replicas serve: reckoned as each fleet
    here is, so that to keep them is to keep it."""
    placed = [variant.placed_replicas for variant in task.variants]
    held = min(task.service.held_rps, task.rate_rps)
    if held <= 0.0 or any(count is None for count in placed):
        return held
    return min(held, _served_rps(task, [count or 0 for count in placed]))


def _with_more(task: Task, replicas: Sequence[int], variant: int, step: int) -> tuple[int, ...] | None:
    """None where the service's own limits do not allow it."""
    most = task.service.max_replicas
    count = replicas[variant] + step
    if not task.able[variant] or count > task.caps[variant] or (most is not None and sum(replicas) + step > most):
        return None
    grown = (*replicas[:variant], count, *replicas[variant + 1 :])
    return grown if obeys(task, grown) else None


def _without(task: Task, replicas: Sequence[int], place: int, step: int) -> Sequence[int] | None:
    """So many fewer; none at all where the service's rules would not have it otherwise, and no minimum minds."""
    fewer = [count - step if other == place else count for other, count in enumerate(replicas)]
    # With no more replicas than may be lost nothing is served.
    of_use = not spare(task) or sum(fewer) > spare(task)
    if of_use and obeys(task, fewer) and shortfall(task, fewer) <= shortfall(task, replicas):
        return fewer
    nothing = [0] * len(replicas)
    return nothing if shortfall(task, nothing) <= shortfall(task, replicas) else None
