"""`medley plan`: the same YAML as kubectl, one answer, and messages that name file, object, field and way out."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.api.v1alpha1 import API_VERSION
from medley_operator.cli.main import main
from medley_operator.cli.manifests import read_objects
from medley_operator.cli.plan import offline_snapshot
from medley_operator.cli.plan_report import build_report
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_planner.model import NodeCount, NodePrice, PowerBudget, Priority
from medley_planner.optimize import plan

EXAMPLES = Path(__file__).parents[4] / "examples"
FLEET = EXAMPLES / "plan" / "fleet.yaml"


def objects(path: Path = FLEET) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def write(folder: Path, documents: list[dict[str, Any]]) -> str:
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def edited(folder: Path, kind: str, **spec: Any) -> str:
    """The example fleet with fields of the spec of its first object of `kind` replaced."""
    documents = objects()
    target = next(document for document in documents if document["kind"] == kind)
    target["spec"] |= spec
    return write(folder, documents)


def test_measured_profiles_are_planned_from_and_those_that_are_not_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(name: str, **spec: str) -> dict[str, Any]:
        whole = {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "gpu": "H100",
            "engineVersion": "0.32.0",
            "stepFactors": dict.fromkeys(("fixed", "compute", "sequence", "kv"), "0.9"),
            **spec,
        }
        return {"apiVersion": API_VERSION, "kind": "ModelProfile", "metadata": {"name": name}, "spec": whole}

    fleet = [*objects(), measured("h100"), measured("other", engineVersion="0.31.0"), measured("typo", gpu="L44")]
    chat = next(one for one in fleet if one["kind"] == "LLMService")
    chat["spec"]["variants"] = [{"poolRef": "h100", "tensorParallel": 1}]
    assert main(["plan", "-f", write(tmp_path, fleet), "-o", "json"]) in (0, 3)
    shown = capsys.readouterr()
    (service,) = json.loads(shown.out)["services"]
    assert {row["variant"]: row["provenance"] for row in service["mix"]}["h100"] == "measured"
    assert "ModelProfile other is not used: this profile measures vLLM 0.31.0" in shown.err
    assert 'ModelProfile typo is not used: spec.gpu "L44": it is not in the catalogue' in shown.err
    assert "ModelProfile h100" not in shown.err


def test_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(FLEET), "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "Optimal"
    assert report["lower_bound"] <= report["cost_per_hour"] + 1e-6
    (service,) = report["services"]
    assert service["service"] == "demo/chat"
    assert service["load"] == {
        "rate": 25.0,
        "prompt_tokens": 600,
        "generation_tokens": 180,
        "planned_prompt_tokens": 600,
        "planned_generation_tokens": 180,
    }
    assert sum(row["share"] for row in service["mix"]) == pytest.approx(1)
    assert sum(row["cost_per_hour"] for row in service["mix"]) == pytest.approx(service["cost_per_hour"])
    assert service["cost_per_hour"] <= service["best_single"]["cost_per_hour"] + 1e-6
    named = {row["variant"] for row in service["mix"]} | {row["variant"] for row in service["unused"]}
    assert len({re.sub(r"-(tp|b)\d+", "", name) for name in named}) == 8
    left_out = ("TooMany", "Dominated", "CannotServe")
    assert sum(row["reason"] not in left_out for row in service["unused"]) + len(service["mix"]) <= 16


def test_yaml_and_table_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(FLEET), "-o", "yaml"]) == 0
    report = yaml.safe_load(capsys.readouterr().out)
    assert main(["plan", "-f", str(FLEET)]) == 0
    table = capsys.readouterr().out
    assert f"${report['cost_per_hour']:.2f}/h" in table
    assert "(Optimal)" in table.splitlines()[0]
    assert "load: 25 req/s of 600 + 180 tokens" in table
    assert all(row["variant"] in table for row in report["services"][0]["mix"])


def test_the_answer_fits_a_screen_and_the_tables_come_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(EXAMPLES / "quickstart")
    assert main(["plan", "-f", folder]) == 0
    short = capsys.readouterr()
    assert len(short.out.splitlines()) + len(short.err.splitlines()) <= 24
    assert max(map(len, short.out.splitlines())) <= 100
    assert "too large" in short.out
    assert "Not used" not in short.out
    assert short.out.count("--why shows each") == 1
    assert main(["plan", "-f", folder, "--why"]) == 0
    wide = capsys.readouterr().out
    assert "Not used" in wide
    assert wide.splitlines()[0] == short.out.splitlines()[0]
    assert main(["plan", "-f", folder, "-o", "wide"]) == 0
    assert capsys.readouterr().out == wide
    assert main(["plan", "-f", folder, "-o", "json"]) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert all(row["variant"] in wide for row in service["unused"])
    # Each reason once for a pool.
    reasons = {(row["pool"], row["reason"]) for row in service["unused"]}
    assert sum(wide.count(reason) for reason in {reason for _, reason in reasons}) == len(reasons)


def test_plan_and_explain_say_one_bound(capsys: pytest.CaptureFixture[str]) -> None:
    """The example starts new replicas, so cost and bound differ by a charge that nobody is billed."""
    said = []
    for command in ("plan", "explain"):
        assert main([command, "-f", str(FLEET)]) == 0
        said.append(re.search(r"Optimal: .*?\(gap [^)]*\)", " ".join(capsys.readouterr().out.split())))
    assert said[0] is not None
    assert said[1] is not None
    assert said[0].group() == said[1].group()
    assert "Comparing plans also charges $" in said[0].group()


@pytest.mark.parametrize("command", ["plan", "explain"])
def test_the_load_is_shown_as_it_was_asked_for(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sizes are spread around the means, and none is longer than maxModelLen: the means of what is planned stay."""
    documents = objects()
    service = next(document for document in documents if document["kind"] == "LLMService")
    service["spec"]["model"]["maxModelLen"] = 2048
    service["spec"]["workload"]["static"] |= {"promptTokens": 500, "generationTokens": 100}
    path = write(tmp_path, documents)
    assert main([command, "-f", path]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "25 req/s of 500 + 100 tokens, " in text
    assert main(["plan", "-f", path, "-o", "json"]) == 0
    load = json.loads(capsys.readouterr().out)["services"][0]["load"]
    assert (load["planned_prompt_tokens"], load["planned_generation_tokens"]) == (500, 100)


def test_several_files_a_folder_and_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["plan", "-f", str(EXAMPLES / "plan"), "-o", "json"]) == 0
    folder = capsys.readouterr().out
    files = [str(file) for file in sorted((EXAMPLES / "plan").glob("*.yaml"))]
    assert main(["plan", "-f", *files, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO(FLEET.read_text()))
    assert main(["plan", "-f", "-", "-o", "json"]) == 0
    assert [service["service"] for service in json.loads(folder)["services"]] == [
        "demo/chat",
        "demo/expert",
        "demo/summaries",
    ]


def test_the_quickstart_is_planned_with_notes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(EXAMPLES / "quickstart"), "-o", "json"]) == 0
    captured = capsys.readouterr()
    assert "Gateway demo/inference" in captured.err
    assert "spec.capacity.nodes is not set" in captured.err


def test_budgets_spot_and_whole_nodes_are_planned(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan is checked against every one of these limits before it is printed."""
    example = EXAMPLES / "budget" / "fleet.yaml"
    snapshot, _ = offline_snapshot(read_objects([str(example)]))
    problem = prepare(snapshot, FleetMemory()).problem
    assert problem is not None
    batch, chat = problem.services
    assert (batch.priority, chat.priority) == (Priority.LOW, Priority.HIGH)
    assert (chat.max_cost_per_hour, chat.spot_max_share, chat.on_demand_min_replicas) == (40.0, 0.5, 2)
    assert (chat.zone_spread, chat.n_plus_one, chat.staffing_beta) == (True, True, 0.5)
    pools = {pool.name: pool for pool in problem.pools}
    assert [name for name, pool in pools.items() if pool.spot] == ["l4-spot"]
    assert pools["h100"].node_price == NodePrice(8, 55.04, max_nodes=2)
    assert problem.power_domains == (PowerBudget("l40s", 4000.0),)
    assert main(["plan", "-f", str(example), "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["status"] in ("Optimal", "Feasible")
    assert report["lower_bound"] <= report["cost_per_hour"] + 1e-6
    costs = {service["service"]: service["cost_per_hour"] for service in report["services"]}
    assert costs["demo/chat"] <= 40.0
    assert costs["demo/batch"] <= 10.0


def test_policies_and_labels_of_namespaces_are_read_from_files() -> None:
    files = [str(EXAMPLES / "plan"), str(EXAMPLES / "medleypolicy.yaml")]
    found = read_objects(files)
    assert [policy.metadata.name for policy in found.policies] == ["everyone", "production", "experiments"]
    snapshot, _ = offline_snapshot(found)
    refused = prepare(snapshot, FleetMemory()).services[0].refusal
    assert refused is not None
    assert "give the Namespace with -f too" in refused.message
    snapshot = replace(snapshot, namespaces={"demo": {"tier": "production"}})
    bounds = prepare(snapshot, FleetMemory()).services[0].bounds
    assert (bounds.max_priority.value, bounds.max_priority.policy) == ("High", "production")


def test_a_namespace_among_the_files_gives_its_labels(tmp_path: Path) -> None:
    file = tmp_path / "namespace.yaml"
    file.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: demo, labels: {tier: production}}\n")
    assert read_objects([str(file)]).namespaces == {"demo": {"tier": "production"}}


def test_whole_nodes_stand_beside_the_services() -> None:
    snapshot, _ = offline_snapshot(read_objects([str(EXAMPLES / "budget" / "fleet.yaml")]))
    prepared = prepare(snapshot, FleetMemory())
    assert prepared.problem is not None
    nodes = (NodeCount("h100", 1, 55.04, 41.28), NodeCount("l4-spot", 0, 0.0, 0.0))
    bought = replace(plan(prepared.problem, deadline_seconds=10.0), nodes=nodes)
    report = build_report(prepared, bought)
    assert report["nodes"] == [{"pool": "h100", "nodes": 1, "cost_per_hour": 55.04, "idle_cost_per_hour": 41.28}]


def test_what_does_not_fit_is_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [item for item in objects() if item["metadata"]["name"] in ("l40s", "vllm", "chat")]
    documents[0]["spec"]["capacity"] = {"type": "Fixed", "nodes": 1, "gpusPerNode": 1}
    assert main(["plan", "-f", write(tmp_path, documents), "-o", "json"]) == 3
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert service["status"] == "Partial"
    assert {row["reason"] for row in service["unserved"]} == {"Stock"}
    assert all(set(row["limits"]) <= {"l40s"} for row in service["unserved"])
    assert main(["plan", "-f", edited(tmp_path, "LLMService", slo={"ttft": "1s", "tpot": "1ms"})]) == 3
    assert "TargetImpossible" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("LLMService", {"slo": {"tpot": "50"}}, ["LLMService demo/chat", 'spec.slo.tpot is "50"', '"250ms"']),
        ("LLMService", {"slos": {}}, ["spec.slos is {}: there is no such field"]),
        ("LLMService", {"model": {}}, ["spec.model.uri is missing"]),
        ("LLMService", {"workload": {}}, ["spec.workload.static is missing"]),
        ("LLMService", {"scaling": {"minReplicas": -1}}, ["spec.scaling.minReplicas is -1"]),
        ("GPUPool", {"cost": {"perHour": 0.8}}, ["GPUPool l4", "spec.cost.perHour is 0.8", '"0.8"']),
        ("GPUPool", {"capacity": {"type": "Big", "gpusPerNode": 1}}, ['spec.capacity.type is "Big"']),
    ],
)
def test_a_bad_field_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, spec: dict[str, Any], words: list[str]
) -> None:
    assert main(["plan", "-f", edited(tmp_path, kind, **spec)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"medley plan: {tmp_path}/objects.yaml: ") or "workload" in message
    assert all(word in message for word in words), message


def test_a_rejected_service_is_status_2_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", edited(tmp_path, "LLMService", variants=[{"poolRef": "l9"}])]) == 2
    assert "PoolNotFound" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        ("kind: GPUPool\nkind: LLMService", 'has the field "kind" twice in one object (line 2)'),
        ('{"kind": "A", "metadata": {"name": "a", "name": "b"}}', 'has the field "name" twice in one object'),
        ('kind: GPUPool\nmetadata: {name: "a\\e[2J"}', 'metadata.name is "a\\u001b[2J": write a name whose characters'),
        ("kind: 2026-99-99", "is not YAML: month must be"),
        ("kind: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("- 1", "it is not a Kubernetes object"),
        ("kind: GPUPool", "a GPUPool: metadata.name is missing"),
        ("", "has no LLMService"),
        ("{apiVersion: medley.dev/v9, kind: GPUPool, metadata: {name: a}}", "use medley.dev/v1alpha1"),
    ],
)
def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert main(["plan", "-f", str(file)]) == 2
    assert words in capsys.readouterr().err
    assert main(["plan", "-f", str(tmp_path / "none.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_object_given_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(FLEET), str(FLEET)]) == 2
    assert "GPUPool l4 is also in" in capsys.readouterr().err


def test_no_cluster_library_is_loaded() -> None:
    code = (
        "import sys; from medley_operator.cli.main import main; "
        f"status = main(['plan', '-f', {str(FLEET)!r}, '-o', 'json']); "
        "loaded = {'kopf', 'kubernetes', 'httpx', 'prometheus_client', 'rich'} & set(sys.modules); "
        "print(sorted(loaded), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_a_plan_by_watts_says_what_it_draws_and_costs(capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = str(EXAMPLES / "quickstart")
    assert main(["plan", "-f", quickstart, "--objective", "watts", "-o", "json"]) == 0
    thrifty = json.loads(capsys.readouterr().out)
    assert thrifty["watts"] == thrifty["watts_lower_bound"] == 144.0
    assert (thrifty["objective"], thrifty["lower_bound"], thrifty["cost_per_hour"]) == ("watts", None, 1.61)
    assert main(["plan", "-f", quickstart, "--objective", "watts", "--max-cost-per-hour", "1"]) == 3
    assert "Budget" in capsys.readouterr().out
    assert main(["plan", "-f", quickstart, "--max-cost-per-hour", "1"]) == 2
    assert "give it with --objective watts" in capsys.readouterr().err


def test_a_known_event_is_planned_for_at_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static = {"requestsPerSecond": "4", "promptTokens": 500, "generationTokens": 150}
    event = {"name": "sale", "start": "2026-12-24T18:00:00Z", "end": "2026-12-24T20:00:00Z", "factor": "3"}
    file = edited(tmp_path, "LLMService", workload={"static": static, "schedule": [event]})

    def planned(at: str) -> tuple[set[float], str]:
        assert main(["plan", "-f", file, "-o", "json", "--at", at]) == 0
        captured = capsys.readouterr()
        return {each["load"]["rate"] for each in json.loads(captured.out)["services"]}, captured.err

    rates, told = planned("2026-12-24T17:00:00Z")
    assert rates == {4.0}
    assert "event" not in told
    rates, told = planned("2026-12-24T17:59:00Z")
    assert rates == {12.0}
    assert "says 4 req/s: event sale (factor 3) begins at 2026-12-24T18:00:00Z" in told
    rates, told = planned("2026-12-24T21:00:00+02:00")
    assert rates == {12.0}
    assert "is planned for 12 req/s" in told
    assert "event sale (factor 3) lasts until 2026-12-24T20:00:00Z" in told
    assert planned("2026-12-24T20:00:00Z")[0] == {4.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"end": "2026-12-24T17:00:00Z"}, "spec.workload.schedule[0]: end must be after start"),
        ({"end": "2026-02-30T17:00:00Z"}, "spec.workload.schedule[0]: day is out of range for month"),
        ({"start": "24 December"}, 'schedule[0].start is "24 December": write a time in UTC, such as'),
        ({"factor": "0"}, "spec.workload.schedule[0]: factor must be above 0 and at most 100"),
        ({"factor": 3}, "schedule[0].factor is 3: YAML and JSON read it as a number; write it in quotes"),
        ({"repeat": "Monthly"}, 'schedule[0].repeat is "Monthly": give one of Never, Daily, Weekly'),
        (
            {"repeat": "Daily", "end": "2026-12-26T18:00:00Z"},
            "spec.workload.schedule[0]: an event with repeat Daily must last less than a day",
        ),
    ],
)
def test_an_event_that_cannot_be_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], words: str
) -> None:
    static = {"requestsPerSecond": "4", "promptTokens": 500, "generationTokens": 150}
    event = {"start": "2026-12-24T18:00:00Z", "end": "2026-12-24T20:00:00Z", "factor": "3"} | change
    file = edited(tmp_path, "LLMService", workload={"static": static, "schedule": [event]})
    assert main(["plan", "-f", file]) == 2
    assert words in capsys.readouterr().err


def test_events_at_the_same_time_are_both_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static = {"requestsPerSecond": "4", "promptTokens": 500, "generationTokens": 150}
    event = {"start": "2026-12-24T18:00:00Z", "end": "2026-12-24T20:00:00Z", "factor": "3"}
    again = event | {"factor": "2", "repeat": "Weekly"}
    file = edited(tmp_path, "LLMService", workload={"static": static, "schedule": [event, again]})
    assert main(["plan", "-f", file]) == 2
    said = capsys.readouterr()
    assert (
        "spec.workload.schedule[0] (2026-12-24T18:00:00Z to 2026-12-24T20:00:00Z, factor 3) and schedule[1] "
        "(2026-12-24T18:00:00Z to 2026-12-24T20:00:00Z Weekly, factor 2) are in force at the same time; let one end "
        "before the other begins, or make one event of both"
    ) in " ".join((said.out + said.err).split())


def test_a_time_without_its_zone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "-f", str(FLEET), "--at", "2026-12-24T18:00"])
    assert "'2026-12-24T18:00' is not a time with its zone" in capsys.readouterr().err
