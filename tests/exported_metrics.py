"""Names of the metrics that Medley's processes export and that its rules record, for tests of what asks for them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.exporter import Exporter
from medley_operator.power.agent.exporter import AgentExporter
from medley_operator.power.controller.exporter import PowerExporter

FILES = Path(__file__).parents[1] / "helm" / "medley" / "files"
_NAME = re.compile(r"\bmedley(?:_\w+|(?::\w+)+)")


def groups(kind: str) -> dict[str, list[dict[str, object]]]:
    """The rules of each file of the chart's folder `kind`, by file name."""
    found: dict[str, list[dict[str, object]]] = {}
    for path in sorted((FILES / kind).glob("*.yaml")):
        found[path.name] = [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    return found


def exported() -> set[str]:
    """Names as a query has them, without what Prometheus adds to a histogram's."""
    operator = Exporter()
    CalibrationExporter(operator.registry)
    registries: list[CollectorRegistry] = [operator.registry, PowerExporter().registry, AgentExporter().registry]
    families = [family for registry in registries for family in registry.collect()]
    recorded = {str(rule["record"]) for rules in groups("rules").values() for rule in rules}
    return recorded | {family.name + ("_total" if family.type == "counter" else "") for family in families}


def asked(expression: str) -> set[str]:
    """Names of ours in a query."""
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) if "_" in name[:7] else name for name in _NAME.findall(expression)
    }
