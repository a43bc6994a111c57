"""LLMServices that commands read from a cluster: by name, or all of a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from medley_operator.cli.in_cluster import list_services, read_service
from medley_operator.cli.main import main
from medley_planner.bad_input import BadInput
from medley_planner.exit_status import ExitStatus
from tests.unit.operator.cli.waiting import Person, waiting_service


async def test_all_services_of_the_namespace_are_listed_by_name() -> None:
    client = Person()
    for namespace, name in (("demo", "b"), ("demo", "a"), ("other", "c")):
        manifest = waiting_service()
        manifest["metadata"] |= {"namespace": namespace, "name": name}
        client.put(manifest)
    found = await list_services(client, namespace="demo")
    assert [service.metadata.name for service in found] == ["a", "b"]


async def test_an_object_that_does_not_parse_is_refused_with_the_way_out() -> None:
    client = Person()
    client.put({**waiting_service(), "spec": {}})
    with pytest.raises(BadInput, match=r"spec\.model"):
        await read_service(client, "llama", namespace="demo")


ASKING = (
    "advise",
    "doctor",
    "pools discover",
    "power status",
    "power shed row-1 --fraction 0.8 --for 2h",
    "power release event",
    "status",
    "pause llama",
    "resume llama",
    "approve llama 1a2b3c4d",
    "diff llama",
    "history",
)


@pytest.mark.parametrize("words", ASKING)
def test_a_cluster_that_cannot_be_reached_is_told_in_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = {"cluster": {"server": "http://127.0.0.1:1"}, "name": "x"}
    context = {"context": {"cluster": "x", "user": "x"}, "name": "x"}
    config = {"clusters": [nobody], "users": [{"name": "x", "user": {}}], "contexts": [context], "current-context": "x"}
    (tmp_path / "config").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert main(words.split()) == ExitStatus.BAD_INPUT
    printed = capsys.readouterr()
    assert printed.err.startswith("medley ")
    assert printed.err.count("\n") == 1
    assert not printed.out
