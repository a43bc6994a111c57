"""Hooks out: what is posted, signed with what, tried how often, and to whom never."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path

import httpx

from medley_operator.domain.power.report import NoticeKind
from medley_operator.domain.power.tell import Notice
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.power.controller.hooks import MOST_WAITING, TRIES, Hooks

URL = "https://facility.example/hooks"
AT = 1_800_000_000.0
KEY = b"not a real key"


def raised(level: int = 2, kind: NoticeKind = NoticeKind.LEVEL_RAISED) -> Notice:
    return Notice(kind, ObjectKey("PowerDomain", "", "row"), "uid", "row is hot", {"domain": "row", "level": level})


def delivered(
    tmp_path: Path,
    answer: Callable[[httpx.Request], httpx.Response],
    *notices: Notice,
    hosts: tuple[str, ...] = ("facility.example",),
) -> tuple[list[httpx.Request], list[float], int]:
    """The requests, the pauses between them, and how many events were given up."""
    requests: list[httpx.Request] = []
    pauses: list[float] = []
    given_up: list[int] = []
    secret = tmp_path / "key"
    secret.write_bytes(KEY + b"\n")

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer(request)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def play() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle), follow_redirects=False) as client:
            hooks = Hooks(
                urls=(URL,),
                hosts=hosts,
                secret_file=secret,
                client=client,
                wall=lambda: AT,
                timestamp=lambda: "2027-01-15T08:00:00Z",
                failed=lambda: given_up.append(1),
                sleep=sleep,
            )
            hooks.start()
            for notice in notices:
                hooks.send(notice)
            for _ in range(100 + 2 * len(notices)):
                await asyncio.sleep(0)
            await hooks.close()

    asyncio.run(play())
    return requests, pauses, len(given_up)


def accepts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(204)


def test_an_event_is_a_signed_cloud_event(tmp_path: Path) -> None:
    (request,), pauses, given_up = delivered(tmp_path, accepts, raised())
    body = json.loads(request.content)
    assert (body["specversion"], body["type"]) == ("1.0", "dev.medley.power.LevelRaised")
    assert (body["subject"], body["data"]["level"]) == ("PowerDomain/row", 2)
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    signed = f"{body['id']}.{int(AT)}.".encode() + request.content
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{wanted}"
    assert request.headers["webhook-id"] == body["id"]
    assert (pauses, given_up) == ([], 0)


def test_it_is_tried_with_longer_pauses_and_one_id(tmp_path: Path) -> None:
    answers = iter([httpx.Response(503), httpx.Response(429), httpx.Response(200)])
    requests, pauses, given_up = delivered(tmp_path, lambda _: next(answers), raised())
    assert pauses == [1.0, 2.0]
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert given_up == 0


def test_it_is_given_up_in_the_end(tmp_path: Path) -> None:
    def fails(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    requests, pauses, given_up = delivered(tmp_path, fails, raised())
    assert (len(requests), len(pauses), given_up) == (TRIES, TRIES - 1, 1)
    assert sum(pauses) < 300


def test_redirects_and_refusals_are_not_followed_nor_repeated(tmp_path: Path) -> None:
    for answer in (httpx.Response(302, headers={"Location": "http://169.254.169.254/"}), httpx.Response(403)):
        requests, _, given_up = delivered(tmp_path, lambda _, a=answer: a, raised())  # type: ignore[misc]
        assert (len(requests), str(requests[0].url), given_up) == (1, URL, 1)


def test_other_hosts_get_nothing(tmp_path: Path) -> None:
    assert delivered(tmp_path, accepts, raised(), hosts=("other.example",))[0] == []


def test_equal_events_are_sent_once(tmp_path: Path) -> None:
    requests, _, _ = delivered(tmp_path, accepts, raised(2), raised(2), raised(3), raised(2))
    assert [json.loads(request.content)["data"]["level"] for request in requests] == [2, 3]


def test_a_queue_has_an_end(tmp_path: Path) -> None:
    def hangs(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    _, _, given_up = delivered(tmp_path, hangs, *(raised(level) for level in range(MOST_WAITING + 20)))
    assert given_up >= 19


def test_without_its_key_nothing_is_sent(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    given_up: list[int] = []

    async def play() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(accepts)) as client:
            hooks = Hooks(
                urls=(URL,),
                hosts=("facility.example",),
                secret_file=tmp_path / "key",
                client=client,
                wall=lambda: AT,
                timestamp=lambda: "",
                failed=lambda: given_up.append(1),
                sleep=lambda _: asyncio.sleep(0),
            )
            hooks.start()
            hooks.send(raised())
            for _ in range(100):
                await asyncio.sleep(0)
            await hooks.close()

    asyncio.run(play())
    assert given_up == [1]
