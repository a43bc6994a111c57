"""`medley profile run` as a user calls it, against a server on loopback that paces its tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.cli.main import main
from tests.unit.operator.profile.fake_endpoint import FakeServer
from tests.unit.operator.profile.loopback import on_loopback

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
}
KEY = "secret-of-the-test"


@pytest.fixture
def engine(tmp_path: Path) -> list[str]:
    """The options that describe the engine; a small model, because the fake is quicker than a large one could be."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    return ["--model", "acme/small", "--config", str(config), "--gpu", "L4", "--engine-version", "0.32.0"]


def _run(url: str, engine: list[str], *more: str) -> int:
    return main(["profile", "run", "--endpoint", url, *engine, "--sizes", "64x8,128x12", "--requests", "6", *more])


def test_a_profile_is_measured_and_written(
    engine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLEY_API_KEY", KEY)
    server = FakeServer(first_seconds=0.008, token_seconds=0.004)
    saved = tmp_path / "points.json"
    with on_loopback(server) as url:
        status = _run(url, engine, "--concurrency", "1,3", "--rates", "20", "--save-points", str(saved))
    said = capsys.readouterr()
    assert status == 0, said.err
    profile = ModelProfile.model_validate(yaml.safe_load(said.out))
    assert (profile.spec.model, profile.spec.gpu, profile.spec.engine_version) == ("acme/small", "L4", "0.32.0")
    assert profile.spec.kv_tokens == 87296
    assert len(profile.spec.points) == 6
    assert "64x8, 3 at once: TTFT" in said.err
    document = json.loads(saved.read_text())
    assert [point["concurrency"] for point in document["points"]] == [1.0, 3.0, None] * 2
    assert all(len(load["requests"]) == 6 for load in document["loads"])
    # Waiting is never shorter than asked for; how much longer is the machine's affair.
    assert all(point["ttft_seconds"] >= 0.008 and point["tpot_seconds"] >= 0.004 for point in document["points"])
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert KEY not in said.out + said.err + saved.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sizes", "64"], "'64' is not a size"),
        (["--sizes", "64x1"], "at least 2"),
        (["--rates", "0"], "not a list of rates above 0"),
        (["--rates", "nan"], "not a list of rates above 0"),
        (["--concurrency", "1.5"], "not a list of whole numbers"),
        (["--requests", "0"], "not a whole number"),
        (["--tp", "0"], "not a whole number"),
        (["--max-sequences", "many"], "not a whole number"),
        (["--token-ids", "9"], "not a range of token ids"),
        (["--token-ids", "1-99999999999999999999"], "not a range of token ids"),
        (["--max-duration", "5"], "is not a duration"),
    ],
)
def test_options_without_meaning_are_refused(
    engine: list[str], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run("http://127.0.0.1:9", engine, *options)
    assert said in capsys.readouterr().err


def test_an_unknown_gpu_is_told_before_anything_is_sent(engine: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    server = FakeServer()
    with on_loopback(server) as url:
        assert _run(url, engine, "--gpu", "L5") == 2
    assert 'GPU is "L5": it is not in the catalogue' in capsys.readouterr().err
    assert not server.bodies


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine-version", "nightly"], 'spec.engineVersion is "nightly"'),
        (["--tp", "7"], "does not divide"),
        (["--name", "A b"], 'metadata.name is "A b"'),
        (["--note", "x" * 600], "spec.source.note"),
        (["--measured-at", "today"], 'spec.measuredAt is "today"'),
        (["--save-points", "/no/such/folder/points.json"], "/no/such/folder/points.json"),
    ],
)
def test_what_could_not_be_written_is_told_before_anything_is_sent(
    engine: list[str], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeServer()
    with on_loopback(server) as url:
        assert _run(url, engine, *options) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert (shown.err.count("\n"), shown.out, server.bodies) == (1, "", [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foo",
        "host:8000",
        "http://",
        "ftp://x",
        "file:///etc/x",
        "http://[::1",
        "http://h:99999",
        "http://h:x",
        "http://\nh",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str, engine: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(url, engine) == 2
    error = capsys.readouterr().err
    assert "it is not the URL of a server; give one such as http://host:8000" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\u00e4"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(
    key: str, engine: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLEY_API_KEY", key)
    assert _run("http://127.0.0.1:9", engine) == 2
    assert _run(f"http://user:{KEY}@127.0.0.1:9", engine) == 2
    error = capsys.readouterr().err
    assert "environment variable MEDLEY_API_KEY" in error
    assert KEY not in error


def test_nobody_listens(engine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with on_loopback(FakeServer()) as url:
        pass
    saved = tmp_path / "points.json"
    assert _run(url, engine, "--save-points", str(saved)) == 2
    assert not saved.exists()
    said = capsys.readouterr()
    assert f"endpoint {url} does not complete a prompt" in said.err
    assert said.out == ""


def test_nothing_measured_is_no_profile(engine: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with on_loopback(FakeServer(fail_after=1)) as url:
        assert _run(url, engine, "--concurrency", "2") == 3
    said = capsys.readouterr()
    assert "HTTP 503: overloaded" in said.err
    assert said.out == ""
