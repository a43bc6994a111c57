"""A hub by range requests: a checkpoint of any size costs its headers, and the token stays with its host."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from medley_operator.checkpoint.hub import HubFiles, folder_of, http_client
from medley_operator.checkpoint.read import read_checkpoint
from medley_planner.bad_input import BadInput
from medley_planner.shapes import ModelShape
from tests.unit.operator.checkpoint.checkpoints import LLAMA, in_two_files, llama_tensors

STORE = "https://store.example/"
FILES = {"config.json": json.dumps(LLAMA).encode(), **in_two_files(llama_tensors())}
Handler = Callable[[httpx.Request], httpx.Response]


def hub(handler: Handler, *, folder: str = "https://hub.example/m", now: float = 0.0) -> HubFiles:
    client = http_client(httpx.MockTransport(handler))
    return HubFiles(folder, client, lambda: now, 10.0, "secret")


class Server:
    """Serves FILES with ranges; weights only from another host, as hubs do."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.sent_bytes = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        name = request.url.path.rpartition("/")[2]
        if name not in FILES:
            return httpx.Response(404)
        if name.endswith(".safetensors") and request.url.host != "store.example":
            return httpx.Response(302, headers={"location": f"{STORE}{name}?signature=abc"})
        first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
        body = FILES[name] + b"\0" * 5_000_000 if name.endswith(".safetensors") else FILES[name]
        body = body[int(first) : int(last) + 1] if last else body
        self.sent_bytes += len(body)
        return httpx.Response(206 if last else 200, stream=httpx.ByteStream(body))


def test_a_checkpoint_is_read_from_its_headers() -> None:
    server = Server()
    found = read_checkpoint(hub(server), name="org/tiny")
    assert isinstance(found.shape, ModelShape)
    assert found.weights is not None
    assert found.shape.parameters() == found.weights.parameters
    assert server.sent_bytes < 4_000_000


def test_the_token_goes_to_the_named_host_alone() -> None:
    server = Server()
    read_checkpoint(hub(server))
    told = {request.url.host: request.headers.get("authorization") for request in server.seen}
    assert told == {"hub.example": "Bearer secret", "store.example": None}


def test_the_token_is_not_sent_without_tls_and_is_not_shown() -> None:
    server = Server()
    files = hub(server, folder="http://hub.example/m")
    files.text("config.json")
    assert "authorization" not in server.seen[0].headers
    assert "secret" not in repr(files)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(401), "--token-env"),
        (httpx.Response(500), "HTTP 500"),
        (httpx.Response(302, headers={"location": "http://hub.example/plain"}), "scheme 'http'"),
        (httpx.Response(302, headers={"location": "file:///etc/passwd"}), "scheme 'file'"),
        (httpx.Response(302, headers={"location": "https://hub.example/round"}), "redirects more than"),
    ],
)
def test_an_answer_that_cannot_be_used_says_so(answer: httpx.Response, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        hub(lambda _: answer).text("config.json")


def test_an_answer_is_cut_at_what_was_asked_for_and_never_unpacked() -> None:
    files = hub(lambda request: httpx.Response(200, stream=httpx.ByteStream(b"x" * 10_000_000)))
    assert files.beginning("a.safetensors", 100) == b"x" * 100
    with pytest.raises(BadInput, match="without range requests"):
        files.beginning("a.safetensors", 100, start=100)
    server = Server()
    hub(server).text("config.json")
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_time_and_network_end_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="in time"):
        hub(Server(), now=11.0).text("config.json")

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    with pytest.raises(BadInput, match="ConnectError"):
        hub(broken).text("config.json")


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("hf://org/model", "https://huggingface.co/org/model/resolve/main"),
        ("hf://org/model@v1.0", "https://huggingface.co/org/model/resolve/v1.0"),
        ("https://huggingface.co/org/model", "https://huggingface.co/org/model/resolve/main"),
        ("https://huggingface.co/org/model/tree/dev", "https://huggingface.co/org/model/resolve/dev"),
        ("https://models.example/a/b/", "https://models.example/a/b"),
    ],
)
def test_addresses_of_models_and_folders(text: str, folder: str) -> None:
    assert folder_of(text) == folder


@pytest.mark.parametrize(
    "text",
    ["hf://model", "hf://org/../x", "https://user:hidden1@host/a", "https://", "https://host/a?b=c", "http://[::1"],
)
def test_addresses_that_cannot_be_read_are_refused_and_show_no_password(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        folder_of(text)
    assert "hidden1" not in str(refused.value)
