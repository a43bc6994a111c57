"""Every YAML of the docs and the examples: objects on a real API server, values in the chart, the rest in promtool.

Nothing is passed over: a block that is none of these fails the test that sorts them. A part of an object is completed
by the kind that the heading above it names, or by the fields that it has.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.controlplane import ControlPlane
from e2e.controlplane.build import ensure_assets
from medley_operator.api.v1alpha1 import API_VERSION, KINDS, LLMServiceSpec
from tests.contract.apiserver import Api, Json
from tests.contract.crd_cases import MINIMAL
from tests.contract.foreign_kinds import apply_foreign_kinds

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "medley"
BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
EITHER = {"targetWatts": {"targetFraction"}, "stepFactors": {"points"}}
"""Fields of minimal objects that go where a block has another in their place."""
VALUES = set(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
SERVICE_FIELDS = {field.alias or name for name, field in LLMServiceSpec.model_fields.items()}
SERVICE = {"model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}, "slo": {"ttft": "1s", "tpot": "50ms"}}
FOREIGN_VALUES = {"router", "httpRoute"}
"""Values of llm-d's chart, of which no copy can be had here: only their syntax is known to be right."""


@dataclass(frozen=True)
class Block:
    """One document of a YAML file or of a block in a page, and where it stands."""

    place: str
    heading: str
    document: Json

    def objects(self) -> Json | None:
        """The object that it is, or is a part of; None where it is none."""
        keys = set(self.document)
        kind = self.document.get("kind") or next((k.kind for k in KINDS if k.kind in self.heading), None)
        if "apiVersion" in keys:
            return self.document
        if keys <= {"kind", "spec"} and kind:
            shown = self.document["spec"]
            spec = {
                **{key: value for key, value in MINIMAL[kind].items() if not EITHER.get(key, set()) & set(shown)},
                **shown,
            }
            return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "part"}, "spec": spec}
        if keys <= SERVICE_FIELDS:
            spec = {**SERVICE, **self.document}
            return {"apiVersion": API_VERSION, "kind": "LLMService", "metadata": {"name": "part"}, "spec": spec}
        if keys == {"triggers"}:
            spec = {"scaleTargetRef": {"name": "part"}, **self.document}
            return {
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledObject",
                "metadata": {"name": "part"},
                "spec": spec,
            }
        return None

    @property
    def values(self) -> bool:
        return self.objects() is None and set(self.document) <= VALUES

    @property
    def prometheus(self) -> bool:
        return set(self.document) == {"scrape_configs"}


def blocks() -> Iterator[Block]:
    pages = [ROOT / "README.md", CHART / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
        for found in BLOCK.finditer(text):
            above = [each[1] for each in HEADING.finditer(text, 0, found.start())]
            place = f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
            yield from (Block(place, above[-1], each) for each in yaml.safe_load_all(found[1]) if each)
    for file in sorted((ROOT / "examples").rglob("*.yaml")):
        for each in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if each:
                yield Block(file.relative_to(ROOT).as_posix(), "", each)


BLOCKS = list(blocks())
PLACES = sorted({block.place for block in BLOCKS if block.objects()})


@pytest.fixture(scope="module")
def served(plane: ControlPlane, admin: Api) -> Api:
    """A control plane of its own with all kinds that the docs show."""
    plane.apply_gateway_api_crds()
    apply_foreign_kinds(admin)
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    admin.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    return admin


def test_every_block_is_tried() -> None:
    left = [b for b in BLOCKS if not (b.objects() or b.values or b.prometheus or set(b.document) <= FOREIGN_VALUES)]
    assert [(block.place, sorted(block.document)) for block in left] == []
    assert len(PLACES) > 20
    assert sum(b.values for b in BLOCKS) >= 2
    assert any(b.prometheus for b in BLOCKS)
    # The controller of power writes NodePowerCaps; nobody else does.
    shown = {b.document["kind"] for b in BLOCKS if not b.heading and b.document["apiVersion"] == API_VERSION}
    assert shown == {kind.kind for kind in KINDS} - {"NodePowerCap"}


@pytest.mark.parametrize("place", PLACES)
def test_objects_are_accepted(served: Api, place: str) -> None:
    """Each as kubectl would apply it, with unknown fields refused; in the namespace that there is."""
    objects = [block.objects() for block in BLOCKS if block.place == place]
    for each in filter(None, objects):
        if "namespace" in each.get("metadata", {}):
            each["metadata"]["namespace"] = "default"
    served.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(objects)
    )


def test_a_misspelt_field_is_refused(served: Api) -> None:
    """What the test above rests on."""
    wrong = {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": "wrong"},
        "spec": {**SERVICE, "slos": {}},
    }
    with pytest.raises(Exception, match="slos"):
        served.kubectl(
            "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(wrong)
        )


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.values], ids=lambda block: block.place)
def test_values_are_the_charts(admin: Api, tmp_path: Path, block: Block) -> None:
    values: dict[str, Any] = {"image": {"repository": "example/medley"}} | block.document
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    assert "kind: Deployment" in admin.helm("template", "medley", str(CHART), "-f", str(tmp_path / "values.yaml"))


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.prometheus], ids=lambda block: block.place)
def test_prometheus_reads_its_configuration(tmp_path: Path, block: Block) -> None:
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(block.document))
    command = [str(ensure_assets().promtool), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
