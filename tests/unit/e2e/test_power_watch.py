"""The watch of registers finds boards that were let draw more, and changes that came too soon after another."""

from __future__ import annotations

from e2e.power.watch import Held, RegisterWatch

FREE, HELD, DEEPER = Held(400, 1410), Held(400, 1275), Held(169, 600)


def watched(*steps: tuple[float, Held]) -> RegisterWatch:
    watch = RegisterWatch(dict)
    for at, held in steps:
        watch.see({"GPU-1": held}, at)
    return watch


def test_only_what_lets_a_board_draw_more_is_a_raise() -> None:
    watch = watched((0.0, FREE), (10.0, HELD), (11.0, HELD), (20.0, DEEPER), (30.0, Held(400, 600)))
    assert watch.raised(since=0.0) == [f"GPU-1: {DEEPER} to {Held(400, 600)} at 30.0"]
    assert watch.raised(since=31.0) == []


def test_two_writes_at_once_are_one_change() -> None:
    assert watched((0.0, FREE), (10.0, Held(169, 1410)), (10.2, DEEPER), (15.1, FREE)).hasty(5.0) == []
    hasty = watched((0.0, FREE), (10.0, HELD), (13.0, DEEPER)).hasty(5.0)
    assert hasty == ["GPU-1: changed at 10.0 and 13.0"]
