"""What is older than what is known changes nothing, a list replaces all, and equal projections are no change."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.store import Store
from medley_operator.kube.client import WatchEvent, WatchType
from medley_operator.kube.errors import Unavailable


def thing(name: str, version: int, value: Any = "v") -> Manifest:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)},
        "v": value,
    }


def key(name: str) -> ObjectKey:
    return key_of(thing(name, 1))


def store(*listed: Manifest, version: int = 10) -> Store[Any]:
    made: Store[Any] = Store(lambda manifest: manifest["v"])
    made.replace(made.read(listed), version=version)
    return made


def see(into: Store[Any], type_: str, manifest: Manifest) -> tuple[Any, Any] | None:
    change = into.see(WatchEvent(WatchType(type_), manifest))
    return None if change is None else (change.old, change.new)


def shown(of: Store[Any]) -> dict[str, Any]:
    assert tuple(of.values[key] for key in sorted(of.values)) == of.ordered
    return {key.name: value for key, value in of.values.items()}


def test_a_list_replaces_all_that_was_known() -> None:
    """kopf's index keeps what went while nobody watched; a planner fed from it plans for ghosts."""
    kept = store(thing("a", 1), thing("b", 2), thing("c", 3))
    changes = kept.replace(kept.read([thing("b", 2), thing("c", 12, "w"), thing("d", 13)]), version=20)
    assert shown(kept) == {"b": "v", "c": "w", "d": "v"}
    told = {change.key.name: (change.old, change.new) for change in changes}
    assert told == {"a": ("v", None), "c": ("v", "w"), "d": (None, "v")}


def test_equal_projections_are_no_change() -> None:
    kept = store(thing("a", 1))
    assert see(kept, "MODIFIED", thing("a", 11)) is None
    assert see(kept, "MODIFIED", thing("a", 12, "w")) == ("v", "w")
    assert kept.replace(kept.read([thing("a", 13, "w")]), version=14) == []


def test_what_the_projection_leaves_out_is_not_there() -> None:
    kept = store(thing("a", 1), thing("b", 2, None))
    assert shown(kept) == {"a": "v"}
    assert see(kept, "MODIFIED", thing("a", 11, None)) == ("v", None)
    assert shown(kept) == {}


def test_a_bookmark_only_moves_the_version() -> None:
    kept = store(thing("a", 1))
    assert see(kept, "BOOKMARK", {"kind": "Deployment", "metadata": {"resourceVersion": "99"}}) is None
    assert (kept.version, shown(kept)) == (99, {"a": "v"})


def test_what_a_write_returned_is_not_taken_back_by_an_older_event() -> None:
    kept = store(thing("a", 1))
    kept.put(thing("a", 15, "written"))
    assert see(kept, "MODIFIED", thing("a", 12, "older")) is None
    assert see(kept, "DELETED", thing("a", 13, "older")) is None
    assert see(kept, "ADDED", thing("a", 14, "older")) is None
    assert shown(kept) == {"a": "written"}
    assert see(kept, "MODIFIED", thing("a", 15, "written")) is None
    assert see(kept, "DELETED", thing("a", 16)) == ("written", None)


def test_what_a_write_returned_outlives_an_older_list() -> None:
    kept = store()
    kept.put(thing("new", 30, "written"))
    kept.put(thing("gone", 18, "written"))
    kept.replace(kept.read([]), version=20)
    assert shown(kept) == {"new": "written"}


def test_an_answer_that_comes_after_the_deletion_does_not_bring_the_object_back() -> None:
    """The answer to a write of version 15 is handled after the watch has told of the deletion, version 16."""
    kept = store(thing("a", 1))
    see(kept, "DELETED", thing("a", 16))
    kept.put(thing("a", 15, "ghost"))
    assert shown(kept) == {}
    kept.replace(kept.read([]), version=40)
    kept.put(thing("b", 39, "ghost"))
    assert shown(kept) == {}


def test_a_write_that_leaves_an_object_out_is_not_undone_by_an_older_event() -> None:
    kept = store(thing("a", 1))
    kept.put(thing("a", 15, None))
    assert see(kept, "MODIFIED", thing("a", 14, "older")) is None
    assert shown(kept) == {}
    assert see(kept, "MODIFIED", thing("a", 17, "newer")) == (None, "newer")


def test_one_object_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def project(manifest: Manifest) -> str:
        if manifest["v"] == "bad":
            raise KeyError("spec")
        return str(manifest["v"])

    kept = Store(project)
    with caplog.at_level(logging.ERROR):
        kept.replace(kept.read([thing("a", 1), thing("b", 2, "bad")]), version=10)
    assert shown(kept) == {"a": "v"}
    assert [record.__dict__["object"] for record in caplog.records] == ["Deployment n/b"]


def test_a_version_that_is_not_a_number_is_told() -> None:
    with pytest.raises(Unavailable, match=r'metadata\.resourceVersion "abc"'):
        store().read([{"kind": "Node", "metadata": {"name": "n", "resourceVersion": "abc"}}])


Histories = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ADDED", "MODIFIED", "DELETED"])), max_size=12)


@given(Histories, st.data())
def test_whatever_answers_cross_with_the_watch_the_end_is_that_of_the_server(
    history: Sequence[tuple[str, str]], data: st.DataObject
) -> None:
    """Answers to writes come at any time after the write; the watch brings all, in order; no answer ever wins late."""
    counter = itertools.count(11)
    events = [(type_, thing(name, version, version)) for (name, type_), version in zip(history, counter, strict=False)]
    kept, server = store(), dict[str, int]()
    written = [manifest for type_, manifest in events if type_ != "DELETED"]
    late = data.draw(st.permutations(written))
    moments = data.draw(st.lists(st.integers(0, len(events)), min_size=len(late), max_size=len(late)))
    for moment in range(len(events) + 1):
        for at, manifest in zip(moments, late, strict=True):
            if at == moment:
                kept.put(manifest)
        if moment < len(events):
            type_, manifest = events[moment]
            see(kept, type_, manifest)
            name = manifest["metadata"]["name"]
            if type_ == "DELETED":
                server.pop(name, None)
            else:
                server[name] = manifest["v"]
    assert shown(kept) == server
