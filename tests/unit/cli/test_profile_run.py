"""`medley profile run` as a user calls it, against a server on loopback that paces its tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.cli.main import main
from tests.unit.profile.fake_endpoint import FakeServer
from tests.unit.profile.loopback import on_loopback

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
    """The options that tell of the engine; a small model, since the fake is quicker than a large one could be."""
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
        (["--sizes", "64"], "'64' is no size"),
        (["--sizes", "64x1"], "at least 2"),
        (["--rates", "0"], "no list of rates above 0"),
        (["--rates", "nan"], "no list of rates above 0"),
        (["--concurrency", "1.5"], "no list of whole numbers"),
        (["--requests", "0"], "no whole number"),
        (["--tp", "0"], "no whole number"),
        (["--max-sequences", "many"], "no whole number"),
        (["--token-ids", "9"], "no range of token ids"),
        (["--max-duration", "5"], "no duration"),
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
    assert 'GPU "L5" is not in the catalogue' in capsys.readouterr().err
    assert not server.bodies


def test_nobody_listens(engine: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with on_loopback(FakeServer()) as url:
        pass
    assert _run(url, engine) == 2
    said = capsys.readouterr()
    assert f"endpoint {url} does not complete a prompt" in said.err
    assert said.out == ""


def test_nothing_measured_is_no_profile(engine: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with on_loopback(FakeServer(fail_after=1)) as url:
        assert _run(url, engine, "--concurrency", "2") == 3
    said = capsys.readouterr()
    assert "HTTP 503: overloaded" in said.err
    assert said.out == ""
