"""Writes the JSON Schema of the chart's values: `python -m medley_operator.chart_schema` (see --help).

What a value may be follows from what it is in values.yaml; where a value becomes a flag, from what the flag takes
(`settings.FLAGS`); and else from `RULES`. So no value lacks a schema, and none has bounds that its flag does not have.
`make crds` writes it, a test compares.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from medley_operator import settings
from medley_operator.power.controller import settings as power_settings
from medley_operator.setting_values import LOG_LEVELS, Flag, Parser, as_metric

Schema = dict[str, Any]

FLAGS_OF: Mapping[str, Mapping[str, Flag]] = {"operator": settings.FLAGS, "power": power_settings.FLAGS}
"""The flags that the values of a section are, by its name."""

_NAME = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"}
_KEY = {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"}
_REPLICAS = {"type": "integer", "minimum": 1, "maximum": 10}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_ENVIRONMENT = {"type": "array", "items": {"type": "object", "required": ["name"]}}
_URL = r"https?://[^\s/]+.*"
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_RESOURCES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"requests": {"type": "object"}, "limits": {"type": "object"}, "claims": _OBJECTS},
}

RULES: Mapping[str, Schema] = {
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"type": "string", "enum": ["Always", "IfNotPresent", "Never"]},
    "imagePullSecrets": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": {"type": "string", "minLength": 1}},
        },
    },
    "replicas": _REPLICAS,
    "power.replicas": _REPLICAS,
    "prometheus.url": {"type": "string", "pattern": f"^({_URL})?$"},
    "prometheus.bearerToken.file": {"type": "string", "pattern": "^(/.*)?$"},
    "prometheus.gatewaySizeMetric": dict(as_metric.schema),
    "power.hooks.urls": {"type": "array", "items": {"type": "string", "pattern": f"^{_URL}$"}},
    "power.hooks.hosts": {"type": "array", "items": {"type": "string", "minLength": 1}},
    "powerAgent.logLevel": {"type": "string", "enum": list(LOG_LEVELS)},
    "powerAgent.podResourcesDirectory": {"type": "string", "pattern": "^(/.*)?$"},
    "monitoring.prometheusRule.runbookUrl": {"type": "string", "pattern": "^(https?://[^\\s\"']+)?$"},
    "watchNamespaces": {
        "type": "array",
        "uniqueItems": True,
        "items": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
    },
    "service.port": _PORT,
    "networkPolicy.egress.apiServerCidrs": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
    },
    "networkPolicy.egress.apiServerPorts": {"type": "array", "minItems": 1, "items": _PORT},
    "networkPolicy.egress.prometheusPort": {"type": "integer", "minimum": 0, "maximum": 65535},
    "dashboard.label": {"type": "string", "minLength": 1},
}
"""Rules by path."""

RULES_BY_NAME: Mapping[str, Schema] = {
    "secretName": _NAME,
    "configMapName": _NAME,
    "existingClaim": _NAME,
    "key": _KEY,
    "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
    "extraEnv": _ENVIRONMENT,
    "resources": _RESOURCES,
    "nodeSelector": _STRINGS,
    "affinity": {"type": "object"},
}
"""Rules by the last part of the path."""


def values_schema(values: Mapping[str, Any]) -> Schema:
    """The schema of values of which these are the defaults."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Medley chart",
        # What helm hands to a subchart whatever its values are.
        **_closed({**dict(_properties(values, "")), "global": {"type": "object"}}),
    }


def _properties(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Schema]]:
    for name, value in values.items():
        yield name, _of(value, name, f"{path}{name}")


def _of(value: object, name: str, path: str) -> Schema:
    section, _, rest = path.partition(".")
    flag = FLAGS_OF.get(section, {}).get(f"--{_kebab(rest)}")
    if flag is not None and isinstance(flag.parse, Parser):
        return dict(flag.parse.schema)
    found = RULES.get(path, RULES_BY_NAME.get(name))
    if found is not None:
        return dict(found)
    if isinstance(value, dict) and value:
        return _closed(dict(_properties(value, f"{path}.")))
    return _like(value, path)


def _like(value: object, path: str) -> Schema:
    for type_, schema in ((bool, {"type": "boolean"}), (str, {"type": "string"}), (list, _OBJECTS), (dict, _STRINGS)):
        if isinstance(value, type_):
            return dict(schema)
    raise ValueError(f"values.yaml: no bounds are known of {path} ({value!r}); add its rule to chart_schema.RULES")


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _kebab(name: str) -> str:
    return re.sub(r"[A-Z]", lambda each: f"-{each.group().lower()}", name)


def text_of(chart: Path) -> str:
    """The schema file of the chart in that folder, as it should be."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    return json.dumps(values_schema(values), indent=2) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m medley_operator.chart_schema", description=__doc__)
    parser.add_argument("chart", type=Path, help="folder of the chart, whose values.schema.json is written")
    chart: Path = parser.parse_args().chart
    (chart / "values.schema.json").write_text(text_of(chart))


if __name__ == "__main__":
    main()
