"""What the chart's files promise, checked without helm: CRD copies, values and their schema, flags, rights."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.api.crdgen import documents
from medley_operator.chart_schema import RULES, RULES_BY_NAME, text_of, values_schema
from medley_operator.domain.speed.calibration_record import CONFIG_MAP
from medley_operator.domain.values.labels import PICKER_CONFIG
from medley_operator.kube import resources
from medley_operator.power.controller.cluster import FOLLOWED
from medley_operator.power.controller.settings import PowerSettings
from medley_operator.settings import Settings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "medley"
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return loaded


def test_crd_copies_are_the_crds() -> None:
    copies = {path.name: path.read_text() for path in (CHART / "files" / "crds").glob("*")}
    assert copies == documents(), "run make crds"


def test_versions_are_the_distributions() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version), "run make version"


def test_the_schema_is_generated() -> None:
    assert (CHART / "values.schema.json").read_text() == text_of(CHART), "run make crds"


def test_every_rule_of_the_schema_is_of_a_value() -> None:
    def paths(value: dict[str, Any], path: str = "") -> Iterator[str]:
        for name, item in value.items():
            yield f"{path}{name}"
            if isinstance(item, dict):
                yield from paths(item, f"{path}{name}.")

    known = set(paths(values()))
    assert RULES.keys() <= known
    assert RULES_BY_NAME.keys() <= {path.rpartition(".")[2] for path in known}


def test_a_value_of_which_no_bounds_are_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no bounds are known of service.weight \(3\)"):
        values_schema({"service": {"weight": 3}})


def test_every_value_is_described() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = [
        line
        for above, line in pairwise(["", *lines])
        # deeper keys stand in a block whose own comment describes them
        if re.match(r"( {2})?\w+: *\S", line) and not above.lstrip().startswith("#")
    ]
    assert bare == []


def test_operator_values_are_the_defaults_of_the_settings() -> None:
    rows = re.findall(r"^\| (`--.*?) \| (.*?) \|", REFERENCE, re.MULTILINE)
    defaults = {
        flag: default
        for flags, settings in rows
        for flag, default in zip(re.findall(r"`--([\w-]+)`", flags), settings.split(", "), strict=True)
    }
    template = (CHART / "templates" / "deployment.yaml").read_text()
    login = (CHART / "templates" / "_helpers.tpl").read_text().partition('define "medley.prometheusArguments"')[2]
    template = template.replace(
        '{{- include "medley.prometheusArguments" . | nindent 12 }}', login[: login.index("{{- end }}\n\n")]
    )
    written = re.findall(r"- --([\w-]+)=\{\{ \.(\w*) ?\}\}", template)
    used = dict(written)
    assert len(used) == len(written), "a flag is given twice"
    for flag, value in used.items():
        assert flag in defaults, f"--{flag} is not a setting of the operator"
        if value:
            assert str(values()["operator"][value]) == defaults[flag], flag
    by_environment = {"capacity-cache-dir", "prometheus-matchers", "price-list"}
    # The memory follows from the container's limit; what is in the Role and what was tried together stays as it is.
    fixed = {"bind-address", "port", "worker-memory-mib", "leader-election", "lease-name"}
    fixed |= {"lease-duration-seconds", "lease-renew-deadline-seconds", "lease-retry-seconds"}
    assert set(defaults) - fixed == set(used) | by_environment | {"watch-namespaces"}
    assert '- --watch-namespaces={{ join "," . }}\n' in template
    assert "- --leader-election=on\n" in template
    for flag in by_environment:
        assert f"name: MEDLEY_{flag.replace('-', '_').upper()}" in template


def rules_of(name: str) -> list[dict[str, list[str]]]:
    """The rules of that name, which hold no template."""
    text = (CHART / "templates" / "_rules.tpl").read_text()
    _, _, text = text.partition(f'define "medley.{name}" -}}}}')
    found: list[dict[str, list[str]]] = yaml.safe_load(text[: text.index("{{-")])
    return found


def granted(rules: str) -> dict[tuple[str, str], list[str]]:
    """Verbs by (API group, resource)."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for rule in rules_of(rules):
        for key in ((group, name) for group in rule["apiGroups"] for name in rule["resources"]):
            verbs[key] = [*verbs.get(key, []), *rule["verbs"]]
    return verbs


@pytest.mark.parametrize(("rules", "namespaced"), [("clusterRules", False), ("namespacedRules", True)])
def test_cluster_role_grants_exactly_what_the_operator_does(rules: str, namespaced: bool) -> None:
    follow = ["list", "watch"]
    followed = (
        *resources.OWN,
        *resources.POWER,
        resources.NODES,
        resources.NAMESPACES,
        resources.PODS,
        resources.GATEWAYS,
    )
    wanted: dict[resources.Resource, list[str]] = {
        **{each: follow for each in (*followed, *resources.SUPPLY, resources.AUTOSCALERS, resources.RESIZERS)},
        resources.LLM_SERVICES: ["get", *follow],
        resources.PODS: [*follow, "patch"],
        **{
            child: ["get", *follow, "create", "patch", "delete"]
            for child in (*resources.CHILDREN, resources.CONFIG_MAPS)
        },
        resources.EVENTS: ["create"],
    }
    statuses = {(r.group, f"{r.plural}/status"): ["patch"] for r in resources.OWN if r.namespaced is namespaced}
    assert granted(rules) == statuses | {
        (r.group, r.plural): verbs for r, verbs in wanted.items() if r.namespaced is namespaced
    }


def test_the_power_role_grants_exactly_what_the_controller_does() -> None:
    wanted = {kind.resource: ["list", "watch"] for kind in FOLLOWED}
    wanted[resources.NODE_POWER_CAPS] = ["list", "watch", "create", "patch", "delete"]
    statuses = {
        (each.group, f"{each.plural}/status"): ["patch"] for each in (resources.POWER_DOMAINS, resources.POWER_EVENTS)
    }
    assert granted("powerRules") == statuses | {(each.group, each.plural): verbs for each, verbs in wanted.items()}


def test_power_values_are_the_defaults_of_its_settings() -> None:
    template = (CHART / "templates" / "power.yaml").read_text()
    defaults = PowerSettings(prometheus_url="http://a")
    for flag, value in re.findall(r"- --([\w-]+)=\{\{ \.(\w+) \}\}", template):
        default = getattr(defaults, flag.replace("-", "_"))
        switched = "on" if default is True else "off" if default is False else default
        assert values()["power"][value] == switched, flag
    assert f"resourceNames: [{defaults.lease_name}]" in template
    assert values()["power"]["enabled"] is False


def test_of_config_maps_the_operator_may_touch_one_by_name() -> None:
    """A right on all of them would be one on those that decide who is an admin of the cluster."""
    rules = [*rules_of("clusterRules"), *rules_of("namespacedRules")]
    narrowed = [rule["resourceNames"] for rule in rules if resources.CONFIG_MAPS.plural in rule["resources"]]
    assert narrowed == [[PICKER_CONFIG]]


def roles() -> list[list[dict[str, list[str]]]]:
    """The rules of each Role in the operator's own namespace."""
    parts = (CHART / "templates" / "rbac.yaml").read_text().split("---")
    own = [part for part in parts if "\nkind: Role\n" in part and "  namespace: {{ .Release.Namespace }}" in part]
    texts = [re.sub(r"\{\{-.*?\}\}", "", part) for part in own]
    return [yaml.safe_load(text[text.index("rules:") :])["rules"] for text in texts]


def test_the_operator_may_touch_one_lease_and_one_config_map_in_its_own_namespace() -> None:
    lease, config_map = roles()
    of_lease = {"apiGroups": [resources.LEASES.group], "resources": [resources.LEASES.plural]}
    # A Lease is created without its name in the request.
    assert lease == [
        {**of_lease, "resourceNames": [Settings().lease_name], "verbs": ["get", "update"]},
        {**of_lease, "verbs": ["create"]},
    ]
    (rule,) = config_map
    assert rule == {
        "apiGroups": [resources.CONFIG_MAPS.group],
        "resources": [resources.CONFIG_MAPS.plural],
        "resourceNames": [CONFIG_MAP],
        "verbs": ["get", "create", "patch"],
    }


def test_the_notes_name_every_kind_that_stays() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    command = notes[notes.index("kubectl delete crd") :]
    assert set(re.findall(r"\b(\w+)\.medley\.dev", command)) == {
        resource.plural for resource in (*resources.OWN, *resources.POWER)
    }
