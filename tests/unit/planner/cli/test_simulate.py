"""`medley simulate`: output, exit status, weights, and one clear line for each kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from medley_operator.cli.main import main as medley
from medley_planner.__main__ import main
from medley_planner.engine import poisson_arrivals

MODEL = ["--model", "meta-llama/Llama-3.1-8B-Instruct"]
FLEET = [*MODEL, "--fleet", "a100-80=2,h100=1"]


@pytest.fixture
def trace(tmp_path: Path) -> str:
    rng = np.random.default_rng(2)
    rows = zip(
        poisson_arrivals(6.0, count=600, seed=1).tolist(),
        rng.integers(50, 3000, 600).tolist(),
        rng.integers(20, 300, 600).tolist(),
        strict=True,
    )
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(f"{at},{prompt},{generation}" for at, prompt, generation in rows))
    return str(path)


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["simulate", *words, "-o", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_yaml_and_table_say_the_same(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*FLEET, "--trace", trace, "--price", "a100-80=3.4,h100=6.9", "--tensor-parallel", "h100=2"]
    found = report(capsys, *asked)
    assert found["requests"] == 600
    assert found["rate_rps"] == pytest.approx(6.0, rel=0.1)
    assert found["attained"] is True
    assert sum(group["requests"] for group in found["groups"]) == 600
    assert [group["gpu"] for group in found["groups"]] == ["A100-80", "H100"]
    assert found["cost_per_hour"] == pytest.approx(2 * 3.4 + 2 * 6.9)
    assert 0 < found["groups"][0]["utilisation"] <= 1
    assert found["ttft_seconds"]["p50"] < found["ttft_seconds"]["p99"] < found["e2e_seconds"]["p99"]
    assert main(["simulate", *asked, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == found
    assert medley(["simulate", *asked]) == 0
    shown = capsys.readouterr().out
    for words in ("2 x H100", "met with", f"${found['cost_per_million_tokens']:.4f} per million tokens"):
        assert words in shown


def test_weights_are_shares_of_capacity_unless_given(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    (balanced,) = report(capsys, *FLEET, "--trace", trace)["router"]
    assert balanced["up_to_prompt_tokens"] is None
    # One H100 carries more than one of the two A100.
    assert balanced["shares"]["h100"] > balanced["shares"]["a100-80"] / 2
    assert sum(balanced["shares"].values()) == pytest.approx(1.0)
    given = report(capsys, *FLEET, "--trace", trace, "--weights", "h100=3,a100-80=1")
    assert given["router"][0]["shares"] == {"a100-80": 0.25, "h100": 0.75}
    assert given["groups"][1]["share"] == pytest.approx(0.75, abs=0.06)
    assert given["cost_per_hour"] is None


def test_a_service_sends_each_pod_the_same_and_a_pool_routes_by_prompt(
    trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service = report(capsys, *FLEET, "--trace", trace, "--routing", "Service")
    assert service["router"] == []
    assert service["groups"][0]["share"] == pytest.approx(2 / 3, abs=0.06)
    pool = report(capsys, *FLEET, "--trace", trace, "--routing", "InferencePool")
    bounds = [each["up_to_prompt_tokens"] for each in pool["router"]]
    assert bounds[-1] is None
    assert bounds[:-1] == sorted(bounds[:-1])
    assert len({tuple(each["shares"].values()) for each in pool["router"]}) > 1


@pytest.mark.parametrize("model", ["openai/gpt-oss-20b", "google/gemma-3-12b-it", "ibm-granite/granite-4.0-h-small"])
def test_windows_and_states_are_served(model: str, trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "--model", model, "--fleet", "h100=1", "--trace", trace)
    assert found["requests"] == 600
    assert 0 < found["tpot_seconds"]["p50"] < 0.05


def test_cached_prompts_and_guessed_tokens_spare_work(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*FLEET, "--trace", trace]
    plain = report(capsys, *words)
    cached = report(capsys, *words, "--prefix-hit-rate", "0.8")
    guessed = report(capsys, *words, "--draft-tokens", "3", "--acceptance", "0.8")
    assert cached["ttft_seconds"]["p50"] < plain["ttft_seconds"]["p50"]
    assert guessed["tpot_seconds"]["p50"] < 0.7 * plain["tpot_seconds"]["p50"]


def test_more_load_keeps_the_targets_for_fewer(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*FLEET, "--trace", trace, "--weights", "h100=2,a100-80=2"]
    figures = [report(capsys, *asked, "--rate-scale", scale) for scale in ("1", "4", "12")]
    assert [round(each["rate_rps"] / figures[0]["rate_rps"]) for each in figures] == [1, 4, 12]
    attained = [each["attainment_percent"] for each in figures]
    assert attained[0] > attained[1] > attained[2]
    assert figures[2]["attained"] is False


def test_equal_input_gives_equal_output(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, *FLEET, "--trace", trace) == report(capsys, *FLEET, "--trace", trace)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*FLEET, "--trace", "/no/trace.csv"], "/no/trace.csv: cannot be read"),
        ([*MODEL, "--fleet", "v101=1"], '"v101": it is not in the catalogue'),
        (["--model", "acme/zzz", "--fleet", "h100=1"], "give the path of its config.json"),
        (
            [*FLEET, "--tensor-parallel", "l4=2"],
            '--tensor-parallel is {"l4": 2}: it names l4, which',
        ),
        ([*FLEET, "--price", "l4=2"], '--price is {"l4": 2.0}: it names l4'),
        ([*FLEET, "--weights", "l4=2"], '--weights is {"l4": 2.0}: it names l4'),
        (
            [*FLEET, "--weights", "h100=2", "--routing", "Service"],
            '{"h100": 2.0}: it goes with --routing HTTPRoute',
        ),
        ([*FLEET, "--tensor-parallel", "h100=3"], "does not divide the 32 attention heads"),
        ([*FLEET, "--slo-tpot", "1ms"], "no group serves any size of the trace within"),
        ([*MODEL, "--fleet", "l4=1", "--max-model-len", "131072"], "set --max-model-len to at most"),
        ([*FLEET, "--max-model-len", "1"], "--max-model-len is 1: it has no room"),
        ([*MODEL, "--fleet", "h100=1e9", "--routing", "Service"], "these are 1000000000 replicas; at most 10000"),
        ([*FLEET, "--acceptance", "0.8"], "--acceptance is 0.8: no tokens are guessed; give --draft-tokens too"),
        ([*FLEET, "--rate-scale", "1e-9"], "--rate-scale is 1e-09: it spreads the trace over"),
        (["--model", "x" * 400, "--fleet", "h100=1"], "give the path of its config.json"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: list[str], said: str, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = words if "--trace" in words else [*words, "--trace", trace]
    assert main(["simulate", *asked]) == 2
    error = capsys.readouterr().err
    assert error.startswith("medley simulate: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fleet", "l4"], "'l4' in 'l4' is not of the form GPU=NUMBER"),
        (["--fleet", "l4=0"], "'0' is not a whole number"),
        (["--fleet", "l4=1,L4=2"], "has l4 twice"),
        (["--fleet", "l4=1", "--price", "l4=-1"], "'-1' is not a number above 0"),
        (["--fleet", "l4=1", "--price", "l4=1e308"], "'1e308' is not a number from 1e-09 to 1e+09"),
        (["--fleet", "l4=1", "--weights", "l4=1e-320"], "'1e-320' is not a number from 1e-09 to 1e+09"),
        (["--fleet", "l4=1", "--weights", "l4=0"], "'0' is not a number above 0"),
        (["--fleet", "l4=1", "--rate-scale", "1e-320"], "'1e-320' is not a number from 1e-09 to 1e+09"),
        (["--fleet", "l4=1", "--seed", "-1"], "'-1' is not a whole number of at least 0"),
        (["--fleet", "l4=1", "--slo-tpot", "9" * 400 + "s"], "is not a finite duration above 0"),
    ],
)
def test_bad_options_are_told_by_name(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *MODEL, "--trace", "x", *words])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_part_of_a_trace_is_served_and_failed_requests_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{second},100,{0 if second == 30 else 20}\n" for second in range(100))
    path.write_text("Timestamp,Request tokens,Response tokens\n" + rows)
    assert main(["simulate", *MODEL, "--fleet", "h100=1", "--trace", str(path), "--to=50s", "-o", "json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert (report["requests"], report["failed_in_trace"]) == (49, 1)
    assert "1 requests of the trace failed" in shown.err
