"""The two probes: what they say of a loop that fails, that lacks a kind, or that hangs."""

from __future__ import annotations

from medley_operator.fleet.health import Heartbeat
from medley_operator.metrics.server import Probe


def test_ready_only_while_rounds_do_not_fail_and_says_why() -> None:
    """Case 2, case 12: every round failed while /readyz answered 200."""
    heart = Heartbeat(resync_seconds=30.0, clock=lambda: 0.0)
    assert heart.ready() == Probe(False, "not ready: no round has ended yet")
    heart.beat()
    assert heart.ready().ok
    heart.beat(error="cannot list pods")
    assert heart.ready() == Probe(False, "not ready: cannot list pods")
    assert heart.healthy() == Probe(True, "last round failed: cannot list pods")
    heart.beat()
    heart.degrade("cannot list nodes")
    assert heart.ready() == Probe(False, "not ready: cannot list nodes")
    assert heart.healthy().ok
    heart.degrade("")
    assert heart.ready().ok
