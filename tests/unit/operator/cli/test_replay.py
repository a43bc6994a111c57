"""`medley replay`: its table and its JSON, and what it says of input that makes no world."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medley_operator.cli.main import main

OBJECTS = """\
apiVersion: medley.dev/v1alpha1
kind: GPUPool
metadata: {name: l4}
spec:
  gpu: L4
  nodeSelector: {gpu: l4}
  capacity: {type: Fixed, nodes: 8, gpusPerNode: 4}
  cost: {perHour: "0.805"}
---
apiVersion: medley.dev/v1alpha1
kind: LLMService
metadata: {name: llama, namespace: demo}
spec:
  model: {uri: hf://meta-llama/Llama-3.1-8B-Instruct, maxModelLen: 8192}
  slo: {ttft: 2s, tpot: 100ms}
  workload: {window: 1m}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "objects.yaml"
    path.write_text(OBJECTS, encoding="utf-8")
    return str(path)


def replay(file: str, *more: str) -> int:
    return main(["replay", "-f", file, *more])


LOAD = ("--load", "constant:3x6m", "--sizes", "400x100")


def test_the_table_has_a_row_for_each_policy(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(file, *LOAD, "--policy", "medley,static,llm-d") == 0
    shown = capsys.readouterr().out
    assert "demo/llama: 95 % within TTFT 2 s and TPOT 100 ms" in shown
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["medley", "static", "llm-d"]


def test_cost_is_told_as_a_multiple_of_what_it_comes_to_with_the_load_known(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(file, *LOAD, "--policy", "static,clairvoyant") == 0
    shown = capsys.readouterr().out
    assert "ratio: cost over that of clairvoyant" in shown
    (row,) = (line for line in shown.splitlines() if line.startswith("│ clairvoyant "))
    assert row.split("│")[3].strip() == "1.000"


def test_a_policy_that_cannot_be_replayed_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.yaml"
    service = OBJECTS.split("---\n")[1]
    path.write_text(OBJECTS + "---\n" + service.replace("name: llama", "name: other"), encoding="utf-8")
    said = "schedules are found for one service, and here are 2"
    assert replay(str(path), *LOAD, "--policy", "static,clairvoyant") == 0
    assert f"clairvoyant is left out: {said}" in capsys.readouterr().out
    page = tmp_path / "replay.html"
    assert replay(str(path), *LOAD, "--policy", "static,clairvoyant", "-o", "json", "--html", str(page)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["left_out"] == [{"name": "clairvoyant", "why": said}]
    assert [policy["over_clairvoyant"] for policy in report["policies"]] == [None]
    assert f"<p>clairvoyant is left out: {said}</p>" in page.read_text(encoding="utf-8")


def test_json_has_policies_and_a_timeline(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(file, *LOAD, "--policy", "medley", "-o", "json", "--seed", "7") == 0
    report = json.loads(capsys.readouterr().out)
    (policy,) = report["policies"]
    assert report["seed"] == 7
    assert policy["name"] == "medley"
    assert policy["attainment_percent"] == 100.0
    assert policy["cost"] == policy["cost_by_pool"]["l4"] > 0
    assert {point["policy"] for point in report["timeline"]} == {"medley"}


def test_a_trace_is_replayed_as_simulate_reads_it(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    lines = [f"{at * 0.5},300,50" for at in range(400)]
    trace.write_text("arrival_seconds,prompt_tokens,generation_tokens\n" + "\n".join(lines), encoding="utf-8")
    assert replay(file, "--trace", f"llama={trace}", "--policy", "medley", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 400


def test_engines_that_are_slower_than_believed_attain_less(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    attained = []
    for factor in ("1", "4"):
        load = ("--load", "constant:6x10m", "--sizes", "1500x200", "--step-factor", f"L4={factor}")
        assert replay(file, *load, "--policy", "static", "-o", "json") == 0
        attained.append(json.loads(capsys.readouterr().out)["policies"][0]["attainment_percent"])
    assert attained[0] > 95 > attained[1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "LLMService demo/llama has no requests; give --trace or --load"),
        (("--load", "constant:3x6m"), "LLMService demo/llama has --load but no sizes; give --sizes or --trace"),
        (("--load", "constant:3", "--sizes", "1x1"), '"3" in "constant:3" is not a rate with its time'),
        (("--load", "chat=constant:3x1m", "--sizes", "1x1"), "there is no LLMService chat in the input (demo/llama)"),
        ((*LOAD[:2], "--sizes", "0x1"), '"0x1" is not a pair of sizes'),
        (("--trace", "/nowhere.csv"), "cannot be read"),
        ((*LOAD, "--startup", "1m,h100=10m"), "there is no GPUPool h100 in the input (l4)"),
    ],
)
def test_input_that_makes_no_world(
    file: str, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert replay(file, *more) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--policy", "best"), "'best' is not a policy; choose from medley, static, hpa, llm-d, slices"),
        (("--step-factor", "H1=2"), "known one: L4, A10G"),
        (("--step-factor", "H100"), "is not of the form GPU=NUMBER"),
        (("--noise", "3"), "is not a number from 0 to 2"),
        (("--startup", "0s"), "is not a finite duration above 0"),
        (("--startup", "1m,l4=0s"), "is not a finite duration above 0"),
    ],
)
def test_options_that_are_refused(
    file: str, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        replay(file, *LOAD, *more)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_model_that_fits_no_pool_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.yaml"
    large = OBJECTS.replace("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-405B-Instruct")
    path.write_text(large, encoding="utf-8")
    assert replay(str(path), *LOAD, "--policy", "medley") == 2
    said = capsys.readouterr().err
    assert "LLMService demo/llama" in said
    assert "fit" in said


def test_a_page_is_written_beside_the_table(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "replay.html"
    assert replay(file, *LOAD, "--policy", "medley", "--html", str(page)) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "medley" in capsys.readouterr().out
    assert replay(file, *LOAD, "--policy", "medley", "--html", str(tmp_path / "no" / "replay.html")) == 2
    assert "give a file in a folder that is there" in capsys.readouterr().err


def test_a_sweep_has_a_row_for_each_candidate(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(file, *LOAD, "--sweep", "scaling.headroomPercent=0,20", "--workers", "1") == 0
    shown = capsys.readouterr().out
    assert "scaling.headroomPercent=20" in shown
    assert replay(file, *LOAD, "--sweep", "scaling=1,2") == 2
    assert "spec.scaling" in capsys.readouterr().err
    assert replay(file, *LOAD, "--sweep", "scaling.headroomPercent=0", "--html", "x.html") == 2
    assert "does not go with --sweep" in capsys.readouterr().err


def test_a_trace_of_one_moment_is_refused(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "one.csv"
    trace.write_text("0,300,50\n0,300,50\n", encoding="utf-8")
    assert replay(file, "--trace", str(trace), "--policy", "medley") == 2
    assert "all of its requests arrive at one moment" in capsys.readouterr().err


def test_a_trace_with_a_gap_and_out_of_order_is_replayed(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "gap.csv"
    trace.write_text("5,300,50\n1,200,20\n4000,100,10\n", encoding="utf-8")
    assert replay(file, "--trace", str(trace), "--policy", "medley,static,slices", "-o", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [policy["attainment_percent"] for policy in report["policies"]] == [100.0] * 3
