"""Which object may be written now, with a clock of the test."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.fleet.report_write_failures import WriteFailure
from medley_operator.fleet.write_backoff import MOST_UNANSWERED, PHASE_SECONDS, WriteBackoff
from medley_operator.kube.errors import Forbidden, KubeError, Unavailable


@dataclass
class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: str, *, kind: str = "Deployment", namespace: str = "demo") -> ObjectKey:
    return ObjectKey(kind, namespace, name)


def fail(backoff: WriteBackoff, at: ObjectKey, error: KubeError) -> None:
    backoff.failed(WriteFailure(at, error.reason, error.message), error)


def test_what_failed_waits_twice_as_long_each_time_and_goes_last() -> None:
    time = Time()
    backoff = WriteBackoff(clock=time)
    a, b = key("a"), key("b")
    for failures, seconds in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 30.0)):
        while backoff.failures(a) < failures:
            fail(backoff, a, Forbidden("no"))
        backoff.begin_round([a, b])
        assert not backoff.may_write(a)
        time.now += seconds
        backoff.begin_round([a, b])
        assert backoff.may_write(a)
    assert sorted([a, b], key=backoff.failures) == [b, a]
    backoff.succeeded(a)
    assert backoff.failures(a) == 0
    assert backoff.last_failure(a) is None


def test_a_phase_begins_nothing_after_its_time() -> None:
    time = Time()
    backoff = WriteBackoff(clock=time)
    backoff.begin_round([])
    time.now = PHASE_SECONDS
    assert backoff.over
    assert not backoff.may_write(key("a"))
    backoff.begin_phase()
    assert backoff.may_write(key("a"))


def test_a_phase_is_owed_half_as_long_as_the_one_before_took() -> None:
    time = Time(5.0)
    backoff = WriteBackoff(clock=time)
    backoff.begin_round([])
    assert not backoff.owed
    time.now += 20.0
    backoff.begin_phase()
    time.now += 9.0
    assert backoff.owed
    time.now += 1.0
    assert not backoff.owed


def test_a_kind_that_does_not_answer_in_one_namespace_rests_there_until_the_next_round() -> None:
    backoff = WriteBackoff(clock=Time())
    backoff.begin_round([])
    for index in range(MOST_UNANSWERED):
        assert backoff.may_write(key("next"))
        fail(backoff, key(f"hung-{index}"), Unavailable("no answer within 20 s"))
    assert not backoff.may_write(key("next"))
    assert backoff.may_write(key("next", kind="Service"))
    assert backoff.may_write(key("next", namespace="other"))
    backoff.begin_round([])
    assert backoff.may_write(key("next"))


def test_a_refusal_is_an_answer() -> None:
    backoff = WriteBackoff(clock=Time())
    backoff.begin_round([])
    for index in range(10):
        fail(backoff, key(f"refused-{index}"), Forbidden("quota"))
    assert backoff.may_write(key("next"))


def test_what_nobody_wants_any_more_is_forgotten() -> None:
    backoff = WriteBackoff(clock=Time())
    fail(backoff, key("a"), Forbidden("no"))
    backoff.begin_round([key("b")])
    assert backoff.failures(key("a")) == 0
