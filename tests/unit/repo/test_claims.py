"""What docstrings claim of where things happen and no import contract checks: who writes, who reads a clock."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "operator" / "medley_operator"
PLANNER = ROOT / "planner" / "medley_planner"
WRITING_VERBS = {"annotate", "apply", "apply_status", "create_event", "delete"}
"""The verbs of `KubeClient` that change something."""
LEASE_VERBS = {"create_lease", "replace_lease"}
CLIENT = "OfficialKubeClient"
"""The client without fence, gate and limits."""
DATE_READS = {"now", "today", "utcnow"}
"""How `datetime` and `date` are asked for the time."""


def _trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        yield file.relative_to(folder).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def _calls(tree: ast.Module) -> set[str]:
    """The names of what is called, without what they are attributes of."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    attributes = {each.attr for each in called if isinstance(each, ast.Attribute)}
    return attributes | {each.id for each in called if isinstance(each, ast.Name)}


def _imports(tree: ast.Module) -> set[str]:
    """Modules, and names with their modules."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{each.name}" for each in node.names}
    return found


def _reads_clock(tree: ast.Module) -> bool:
    imported, called = _imports(tree), _calls(tree)
    return "time" in imported or "monotonic" in called or ("datetime" in imported and bool(called & DATE_READS))


def _attributes(tree: ast.Module) -> set[str]:
    """The names after a dot, called or not: a verb may be handed on before it is called."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _outside_kube(names: Callable[[ast.Module], set[str]], wanted: set[str]) -> set[str]:
    return {name for name, tree in _trees(OPERATOR) if names(tree) & wanted and not name.startswith("kube/")}


def test_objects_are_written_in_few_places() -> None:
    writers = {"fleet/publish.py", "fleet/calibration.py", "cli/approve.py", "cli/pause.py"}
    writers |= {"power/agent/agent.py", "power/controller/writer.py", "cli/power_events.py"}
    assert _outside_kube(_attributes, WRITING_VERBS) == writers


def test_the_lease_is_written_by_leader_election_alone() -> None:
    assert _outside_kube(_attributes, LEASE_VERBS) == {"fleet/lease.py"}


def test_nothing_writes_past_fence_gate_and_limits() -> None:
    """Two operators wrote everything twice: every client is made in one place, which puts the decorators round it."""
    names = {name for name, tree in _trees(OPERATOR) if CLIENT in ast.unparse(tree)}
    assert names == {"kube/official.py", "kube/connect.py"}
    connect = {name for name, tree in _trees(OPERATOR) if "connect" in _calls(tree)}
    assert connect == {"app.py", "power/controller/app.py"}
    senders = {name for name, tree in _trees(OPERATOR) if _imports(tree) & {"httpx", "aiohttp", "requests", "urllib3"}}
    assert senders == {
        "checkpoint/hub.py",
        "kube/official.py",
        "kube/service_proxy.py",
        "metrics/credentials.py",
        "metrics/prometheus.py",
        "power/controller/hooks.py",
        "profile/client.py",
    }
    # Which lets a person's command read Prometheus, and nothing else makes.
    assert {name for name, tree in _trees(OPERATOR) if "service_proxy" in _calls(tree)} == {"cli/advise/prometheus.py"}


def test_the_planner_reads_its_clock_in_one_file() -> None:
    assert {name for name, tree in _trees(PLANNER) if _reads_clock(tree)} == {"clock.py"}


def test_what_decides_reads_no_clock() -> None:
    readers = {name for name, tree in _trees(OPERATOR) if _reads_clock(tree)}
    assert not {name for name in readers if name.startswith(("api/", "domain/"))}


def test_explanations_plan_in_one_file() -> None:
    planning = {
        name
        for name, tree in _trees(PLANNER / "explain")
        if _imports(tree) & {"medley_planner.optimize.plan", "medley_planner.optimize.decompose"}
    }
    assert planning == {"whatif.py"}
