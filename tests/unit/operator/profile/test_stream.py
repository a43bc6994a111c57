"""Streams cut at any byte give the same tokens; what a server says of its trouble becomes a failure."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.profile.stream import EventReader, Progress

STREAM = (
    b': ping\r\n\r\ndata: {"choices": [{"text": "\xc3\xa9"}]}\r\n\r\n'
    b'event: x\ndata:{"choices": [{"text": "b"}], "usage": {"completion_tokens": 2}}\n\ndata: [DONE]\n\n'
)
EVENTS = [
    '{"choices": [{"text": "é"}]}',
    '{"choices": [{"text": "b"}], "usage": {"completion_tokens": 2}}',
    "[DONE]",
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_chunks_may_be_cut_anywhere(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})
    reader = EventReader()
    events = [event for start, end in pairwise(edges) for event in reader.feed(STREAM[start:end])]
    assert events == EVENTS


def test_an_event_counts_only_when_it_is_whole() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: [DO")) == []
    assert list(reader.feed(b"NE]\n")) == ["[DONE]"]


def _taken(*events: object) -> Progress:
    progress = Progress()
    for at, event in enumerate(events):
        progress.take(event if isinstance(event, str) else json.dumps(event), at=float(at))
    return progress


def _chunk(completed: int | None = None) -> dict[str, object]:
    usage = {} if completed is None else {"usage": {"prompt_tokens": 7, "completion_tokens": completed}}
    return {"choices": [{"text": "a"}], **usage}


def test_tokens_are_counted_by_usage_where_it_is_told() -> None:
    progress = _taken(_chunk(2), _chunk(5), _chunk(5), {"choices": [], "usage": {"completion_tokens": 5}}, "[DONE]")
    assert (progress.first_at, progress.first_tokens, progress.last_at, progress.generated) == (0.0, 2, 1.0, 5)
    assert progress.prompt_tokens == 7
    assert progress.done


def test_a_chunk_without_tokens_is_no_first_token() -> None:
    progress = _taken(_chunk(0), _chunk(1))
    assert progress.first_at == 1.0


def test_each_chunk_is_a_token_where_no_usage_is_told() -> None:
    progress = _taken(_chunk(), _chunk(), _chunk(), "[DONE]")
    assert (progress.first_at, progress.last_at, progress.generated) == (0.0, 2.0, 3)


def test_the_last_usage_corrects_the_count_of_chunks() -> None:
    progress = _taken(_chunk(), _chunk(), {"choices": [], "usage": {"completion_tokens": 9}})
    assert (progress.last_at, progress.generated) == (1.0, 9)


@pytest.mark.parametrize("told", [10**400, -5, True, "many", None])
def test_a_usage_that_is_no_count_tells_nothing(told: object) -> None:
    event = {"choices": [{"text": "a"}], "usage": {"completion_tokens": told, "prompt_tokens": told}}
    progress = _taken(event, event)
    assert (progress.generated, progress.prompt_tokens) == (2, None)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "out of memory"),
        ({"error": "broken"}, "broken"),
        ("<html>", "<html>"),
        ("[1]", "[1]"),
        ("[" * 100_000, "[[["),
    ],
)
def test_an_error_in_the_stream_is_a_failure(event: object, said: str) -> None:
    progress = _taken(_chunk(1), event)
    assert progress.failure is not None
    assert said in progress.failure
