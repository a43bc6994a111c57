"""The chart with real helm: lint, templates, and its life on a real API server, down to what its account may do."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.controlplane import CommandFailed
from medley_operator import settings
from medley_operator.api.crdgen import documents
from medley_operator.api.v1alpha1 import GROUP, KINDS
from medley_operator.api.v1alpha1.power_kinds import POWER_KINDS
from medley_operator.domain.speed.calibration_record import CONFIG_MAP
from medley_operator.power.controller import settings as power_settings
from medley_operator.settings import Settings
from tests.contract.apiserver import Api

pytestmark = pytest.mark.contract

CHART = str(Path(__file__).parents[2] / "helm" / "medley")
RELEASE, NAMESPACE = "medley", "medley-chart-test"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
CRD_NAMES = [f"{kind.plural}.medley.dev" for kind in KINDS]

IMAGE = {"repository": "example/medley"}
"""The chart has none; whoever installs it gives one."""
VALUE_SETS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": {
        "image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "prometheus": {
            "url": "http://prometheus.monitoring:9090",
            "bearerToken": {"secretName": "prometheus-token"},
            "ca": {"configMapName": "company-ca"},
            "tenant": "team-a",
            "matchers": 'cluster="eu-1"',
        },
        "operator": {
            **{"resyncSeconds": 60, "logLevel": "debug", "extraEnv": [{"name": "A", "value": "b"}]},
            **{"mode": "Advisory", "kubeQps": 5.5, "kubeBurst": 7},
        },
        "replicas": 3,
        "commonLabels": {"team": "platform"},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        ],
        "capacitySimulation": {"existingClaim": "tables"},
        "serviceAccount": {"annotations": {"a/b": "c"}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "x"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "egress": {
                "enabled": True,
                "apiServerCidrs": ["10.0.0.1/32"],
                "apiServerPorts": [6443],
                "prometheus": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            },
        },
        "service": {"port": 9090, "annotations": {"a": "b"}},
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prom"}},
            "podMonitor": {"enabled": True, "interval": "5s"},
            "prometheusRule": {"enabled": True, "runbookUrl": "https://docs.example/runbooks/"},
        },
        "dashboard": {"annotations": {"grafana_folder": "Medley"}},
        "powerAgent": {"enabled": True, "affinity": {"nodeAffinity": {}}, "podAnnotations": {"a": "b"}},
    },
    "bare": {
        "fullnameOverride": "planner",
        "replicas": 1,
        "crds": {"install": False},
        "capacitySimulation": {"enabled": False},
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "theirs"},
        "dashboard": {"enabled": False},
        "resources": {"requests": {"cpu": "1"}},
    },
    "watched": {
        "watchNamespaces": ["team-a", "team-b"],
        "monitoring": {"podMonitor": {"enabled": True}},
    },
    "powered": {
        "prometheus": {"url": "http://prometheus.monitoring:9090", "bearerToken": {"secretName": "prometheus-token"}},
        "power": {
            "enabled": True,
            "dynamoAnnotations": "on",
            "hooks": {"urls": ["https://facility.example/x"], "hosts": ["facility.example"], "secretName": "hooks"},
        },
        "monitoring": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
        "networkPolicy": {
            "enabled": True,
            "egress": {
                "enabled": True,
                "prometheusPort": 9091,
                "extra": [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 443}]}],
            },
        },
    },
    "uncalibrated": {
        "operator": {"calibration": "off", "dryRun": "on"},
        "prices": {"configMapName": "medley-prices", "key": "eu.csv"},
        "rbac": {"aggregate": False},
        "networkPolicy": {"enabled": True},
    },
}


SET_IMAGE = ("--set", f"image.repository={IMAGE['repository']}")
POD_NAME = {"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def helm_values(tmp_path: Path, values: dict[str, Any]) -> str:
    """A file with the values, and with an image where they name none."""
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values | {"image": IMAGE | values.get("image", {})}))
    return str(path)


def rendered(api: Api, tmp_path: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """Objects of `helm template` by kind."""
    text = api.helm("template", RELEASE, CHART, "-n", NAMESPACE, "-f", helm_values(tmp_path, VALUE_SETS[name]))
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for obj in yaml.safe_load_all(text):
        if obj:
            by_kind.setdefault(obj["kind"], []).append(obj)
    return by_kind


def container(objects: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("name", VALUE_SETS)
def test_lint(api: Api, tmp_path: Path, name: str) -> None:
    values = helm_values(tmp_path, VALUE_SETS[name])
    assert "0 chart(s) failed" in api.helm("lint", "--strict", CHART, "-f", values)


def test_template_of_the_defaults(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "defaults")
    assert sorted(objects) == [
        *("ClusterRole", "ClusterRoleBinding", "ConfigMap", "CustomResourceDefinition"),
        *("Deployment", "Job", "PodDisruptionBudget", "Role", "RoleBinding", "Service", "ServiceAccount"),
    ]
    crds = {o["metadata"]["name"]: o for o in objects["CustomResourceDefinition"]}
    for text in documents().values():
        generated = yaml.safe_load(text)
        crd = crds[generated["metadata"]["name"]]
        assert crd["spec"] == generated["spec"]
        assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    deployment = objects["Deployment"][0]["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    (term,) = deployment["template"]["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["podAffinityTerm"]["labelSelector"] == deployment["selector"]
    (budget,) = objects["PodDisruptionBudget"]
    assert (budget["spec"]["maxUnavailable"], budget["spec"]["selector"]) == (1, deployment["selector"])
    assert container(objects)["image"] == "example/medley:0.1.0"
    assert not [a for a in container(objects)["args"] if a.startswith("--prometheus-url")]
    board = objects["ConfigMap"][0]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["medley-fleet.json"])["title"] == "Medley fleet"


def test_template_of_the_node_agent(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "everything")
    (agents,) = objects["DaemonSet"]
    pod = agents["spec"]["template"]["spec"]
    (agent,) = pod["containers"]
    assert agent["command"] == ["medley", "agent"]
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_ADMIN"]}
    assert not {"hostPID", "hostNetwork"} & pod.keys()
    (socket,) = pod["volumes"]
    assert socket["hostPath"] == {"path": "/var/lib/kubelet/pod-resources", "type": "Directory"}
    (mount,) = agent["volumeMounts"]
    assert (mount["name"], mount["readOnly"]) == (socket["name"], True)
    assert agent["resources"].keys() == {"requests", "limits"}
    assert "nvidia.com/gpu" not in agent["resources"]["limits"]
    assert pod["serviceAccountName"] == "medley-agent"
    (policy,) = objects["ValidatingAdmissionPolicy"]
    assert policy["spec"]["matchConditions"][0]["expression"].endswith(f':{NAMESPACE}:medley-agent"')
    (role,) = [each for each in objects["ClusterRole"] if each["metadata"]["name"] == "medley-agent"]
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"]] == [
        (["nodepowercaps"], ["get", "list", "watch"]),
        (["nodepowercaps/status"], ["patch"]),
    ]


def test_template_of_everything(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "everything")
    pod = objects["Deployment"][0]["spec"]["template"]
    assert container(objects)["image"] == "example/medley@sha256:" + "0" * 64
    assert "--prometheus-url=http://prometheus.monitoring:9090" in container(objects)["args"]
    assert "--resync-seconds=60" in container(objects)["args"]
    kept = {"name": "MEDLEY_CAPACITY_CACHE_DIR", "value": "/var/cache/medley"}
    matchers = {"name": "MEDLEY_PROMETHEUS_MATCHERS", "value": 'cluster="eu-1"'}
    assert container(objects)["env"] == [POD_NAME, kept, matchers, {"name": "A", "value": "b"}]
    assert pod["spec"]["affinity"] == {"nodeAffinity": {}}
    (policy,) = objects["NetworkPolicy"]
    assert policy["spec"]["podSelector"] == objects["Deployment"][0]["spec"]["selector"]
    (rule,) = policy["spec"]["ingress"]
    assert rule == {"from": VALUE_SETS["everything"]["networkPolicy"]["from"], "ports": [{"port": "http"}]}
    assert {"name": "capacity", "mountPath": "/var/cache/medley"} in container(objects)["volumeMounts"]
    assert {"name": "capacity", "persistentVolumeClaim": {"claimName": "tables"}} in pod["spec"]["volumes"]
    assert pod["spec"]["securityContext"]["fsGroup"] == 65532
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert pod["metadata"]["labels"]["team"] == "x"
    assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    agents, pod_monitor = objects["PodMonitor"]
    assert agents["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["targetLabel"] == "node"
    labels = ["medley.dev/service", "medley.dev/variant", "medley.dev/pool", "pod-template-hash"]
    assert pod_monitor["spec"]["podTargetLabels"] == labels
    assert objects["ServiceMonitor"][0]["metadata"]["labels"]["release"] == "prom"


def test_alerts_link_to_the_runbooks_of_the_platform(api: Api, tmp_path: Path) -> None:
    rules = {each["metadata"]["name"]: each["spec"] for each in rendered(api, tmp_path, "everything")["PrometheusRule"]}
    # Without power none of its alerts: nothing would ever lead.
    alerts, recorded = f"{RELEASE}-fleet", f"{RELEASE}-services"
    assert set(rules) == {alerts, recorded}
    for rule in rules[alerts]["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"] == f"https://docs.example/runbooks/{rule['alert']}.md"
    assert all("record" in rule for rule in rules[recorded]["groups"][0]["rules"])


def test_a_login_at_prometheus_is_mounted_and_never_an_argument(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "everything")
    volumes = {each["name"]: each for each in objects["Deployment"][0]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["prometheus-token"]["secret"] == {"secretName": "prometheus-token"}
    assert volumes["prometheus-ca"]["configMap"] == {"name": "company-ca"}
    mounts = {each["name"]: each for each in container(objects)["volumeMounts"]}
    for name, flag, key in (("token", "bearer-token", "token"), ("ca", "ca", "ca.crt")):
        folder = f"/var/run/medley/prometheus-{name}"
        assert mounts[f"prometheus-{name}"] == {"name": f"prometheus-{name}", "mountPath": folder, "readOnly": True}
        assert f"--prometheus-{flag}-file={folder}/{key}" in container(objects)["args"]
    assert "--prometheus-tenant=team-a" in container(objects)["args"]


def test_a_price_list_is_mounted(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "uncalibrated")
    assert {"name": "MEDLEY_PRICE_LIST", "value": "/etc/medley/prices/eu.csv"} in container(objects)["env"]
    mount = {"name": "prices", "mountPath": "/etc/medley/prices", "readOnly": True}
    assert mount in container(objects)["volumeMounts"]
    pod = objects["Deployment"][0]["spec"]["template"]["spec"]
    assert {"name": "prices", "configMap": {"name": "medley-prices"}} in pod["volumes"]


def test_template_of_the_bare(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "bare")
    assert sorted(objects) == ["Deployment", "Job", "Service"]
    assert objects["Deployment"][0]["metadata"]["name"] == "planner"
    assert container(objects)["env"] == [POD_NAME, {"name": "MEDLEY_CAPACITY_CACHE_DIR", "value": ""}]
    assert [mount["name"] for mount in container(objects)["volumeMounts"]] == ["tmp"]
    assert objects["Deployment"][0]["spec"]["template"]["spec"]["serviceAccountName"] == "theirs"


def test_nothing_is_granted_for_a_calibration_that_is_off(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "uncalibrated")
    for kind in ("Role", "RoleBinding"):
        assert [each["metadata"]["name"] for each in objects[kind]] == [f"{RELEASE}-leader-election"]
    assert [each["metadata"]["name"] for each in objects["ClusterRole"]] == [RELEASE]


def rules(role: dict[str, Any]) -> set[tuple[str, str]]:
    """(resource, verb) that the role grants."""
    return {
        (f"{resource}.{group}".rstrip("."), verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_with_watched_namespaces_rights_in_namespaces_are_roles(api: Api, tmp_path: Path) -> None:
    """M9: rights on Deployments and Services of every namespace, kube-system included, and no way to have less."""
    everywhere = rules(rendered(api, tmp_path, "defaults")["ClusterRole"][0])
    objects = rendered(api, tmp_path, "watched")
    cluster = next(each for each in objects["ClusterRole"] if each["metadata"]["name"] == RELEASE)
    assert {resource.partition(".")[0] for resource, _ in rules(cluster)} == {
        *("nodes", "namespaces", "gpupools", "runtimeprofiles", "modelprofiles", "medleypolicies", "gputypes"),
        *("gpupools/status", "runtimeprofiles/status", "modelprofiles/status", "medleypolicies/status"),
        *("gputypes/status", "resourceslices", "deviceclasses", "clusterqueues", "nodepools"),
        *("powerdomains", "powerevents", "nodepowercaps"),
    }
    roles = {each["metadata"]["namespace"]: each for each in objects["Role"] if "-watched" in each["metadata"]["name"]}
    assert sorted(roles) == ["team-a", "team-b"]
    for role in roles.values():
        assert rules(role) | rules(cluster) == everywhere
        assert not rules(role) & rules(cluster)
    bound = {each["metadata"]["namespace"] for each in objects["RoleBinding"]}
    assert bound == {"team-a", "team-b", "default", NAMESPACE}
    (monitor,) = objects["PodMonitor"]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_a_network_policy_without_peers_lets_nobody_in(api: Api, tmp_path: Path) -> None:
    (policy,) = rendered(api, tmp_path, "uncalibrated")["NetworkPolicy"]
    assert (policy["spec"]["policyTypes"], policy["spec"]["ingress"]) == (["Ingress"], [])
    assert "egress" not in policy["spec"]


def test_further_labels_are_on_every_object_and_select_nothing(api: Api, tmp_path: Path) -> None:
    objects = [each for found in rendered(api, tmp_path, "everything").values() for each in found]
    assert all(each["metadata"]["labels"]["team"] == "platform" for each in objects)
    for each in objects:
        if each["kind"] in ("Deployment", "DaemonSet", "Job"):
            # The pod's own labels go before.
            assert each["spec"]["template"]["metadata"]["labels"]["team"] in ("platform", "x")
            assert "team" not in str(each["spec"].get("selector", ""))


def test_replicas_prefer_different_zones(api: Api, tmp_path: Path) -> None:
    deployment = rendered(api, tmp_path, "defaults")["Deployment"][0]["spec"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
    assert spread["labelSelector"] == deployment["selector"]
    given = rendered(api, tmp_path, "everything")["Deployment"][0]["spec"]["template"]["spec"]
    assert given["topologySpreadConstraints"] == VALUE_SETS["everything"]["topologySpreadConstraints"]


DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def test_a_network_policy_lets_out_to_the_api_server_and_to_prometheus(api: Api, tmp_path: Path) -> None:
    (policy,) = rendered(api, tmp_path, "everything")["NetworkPolicy"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    peers = VALUE_SETS["everything"]["networkPolicy"]["egress"]["prometheus"]
    assert policy["spec"]["egress"] == [
        DNS,
        {"ports": [{"port": 6443}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]},
        {"ports": [{"port": 9090}], "to": peers},
    ]
    objects = rendered(api, tmp_path, "powered")
    policies = {each["metadata"]["name"]: each["spec"] for each in objects["NetworkPolicy"]}
    deployments = {each["metadata"]["name"]: each["spec"]["selector"] for each in objects["Deployment"]}
    assert {name: each["podSelector"] for name, each in policies.items()} == deployments
    for each in policies.values():
        assert each["egress"] == [
            DNS,
            {"ports": [{"port": 443}, {"port": 6443}]},
            {"ports": [{"port": 9091}]},
            *VALUE_SETS["powered"]["networkPolicy"]["egress"]["extra"],
        ]


@pytest.mark.parametrize("name", VALUE_SETS)
def test_operator_understands_its_arguments(api: Api, tmp_path: Path, name: str) -> None:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    arguments = container(rendered(api, tmp_path, name))["args"]
    flags = [argument.partition("=")[0] for argument in arguments]
    assert len(flags) == len(set(flags)), "a flag is given twice"
    parsed = settings.from_arguments(parser.parse_args(arguments), {})
    changed = VALUE_SETS[name].get("operator", {})
    assert parsed.resync_seconds == changed.get("resyncSeconds", 30)
    assert parsed.log_level == changed.get("logLevel", "info")
    assert parsed.calibration is (changed.get("calibration", "on") == "on")
    assert list(parsed.watch_namespaces) == VALUE_SETS[name].get("watchNamespaces", [])
    assert parsed.dry_run is (changed.get("dryRun", "off") == "on")
    assert parsed.leader_election is not parsed.dry_run
    assert parsed.mode.value == changed.get("mode", "Auto")
    assert (parsed.kube_qps, parsed.kube_burst) == (changed.get("kubeQps", 20), changed.get("kubeBurst", 50))
    assert parsed.prometheus_url == VALUE_SETS[name].get("prometheus", {}).get("url")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"operator": {"logLevel": "loud"}}, "logLevel"),
        ({"operator": {"resyncSeconds": 0}}, "resyncSeconds"),
        ({"operator": {"replicas": 2}}, "replicas"),
        ({"prometheus": {"url": "prometheus:9090"}}, "url"),
        ({"prometheus": {"basicAuth": {"username": "x"}}}, "basicAuth.secretName is needed"),
        ({"prometheus": {"insecureSkipVerify": True}}, "insecureSkipVerify"),
        ({"podTemplate": {}}, "podTemplate"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"image": {"repository": ""}}, r"image.repository is needed.*build one.*install with --set image.repository="),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels must not hold app.kubernetes.io/name"),
        ({"networkPolicy": {"egress": {"apiServerCidrs": ["10.0.0.1"]}}}, "apiServerCidrs"),
        ({"operator": {"mode": "Off"}}, "mode"),
        ({"replicas": 0}, "replicas"),
        ({"watchNamespaces": ["*"]}, "watchNamespaces"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed"),
    ],
)
def test_bad_value_is_refused(api: Api, tmp_path: Path, values: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandFailed, match=told):
        api.helm("template", RELEASE, CHART, "-f", helm_values(tmp_path, values))


@pytest.fixture(scope="module")
def release(api: Api) -> Iterator[Api]:
    """The chart, installed with its defaults; the operator's image never runs, kwok plays its pod."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "chart-node", "labels": {"kubernetes.io/os": "linux"}},
        "status": {"allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}},
    }
    api.kubectl("apply", "-f", "-", stdin=json.dumps(node))
    api.helm("install", RELEASE, CHART, "-n", NAMESPACE, "--create-namespace", "--take-ownership", *SET_IMAGE)
    yield api
    api.helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found")
    api.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    api.kubectl("delete", "node", "chart-node", "--ignore-not-found")


def wait_for_pod(api: Api, *, annotation: str = "") -> dict[str, Any]:
    """The one operator pod that is Running (with the annotation `tested`), or fails after 30 s."""
    deadline = time.monotonic() + 30
    pods: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        pods = json.loads(api.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))["items"]
        for pod in pods:
            tested = pod["metadata"].get("annotations", {}).get("tested", "")
            if pod["status"].get("phase") == "Running" and tested == annotation:
                return pod
        time.sleep(0.3)
    raise AssertionError(f"no pod is Running after 30 s: {json.dumps([p['status'] for p in pods])}")


def test_operator_runs_restricted(release: Api) -> None:
    pod = wait_for_pod(release)
    assert pod["spec"]["serviceAccountName"] == RELEASE
    # the API server's own judgement of the pod template under the strictest Pod Security level
    release.kubectl("label", "namespace", NAMESPACE, "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
    again = {k: pod[k] for k in ("apiVersion", "kind")} | {"metadata": {"name": "again", "namespace": NAMESPACE}}
    template = json.loads(release.kubectl("get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "json"))
    again["spec"] = template["spec"]["template"]["spec"]
    release.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(again))
    again["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        release.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(again))


ALL = ["get", "list", "watch", "create", "patch", "delete"]
READ = ["list", "watch"]
NEVER = ["update", "deletecollection"]
POWER_NAMES = {f"{kind.plural}.{GROUP}" for kind in POWER_KINDS}
"""Kinds of the controller of power, which has an account of its own."""
MAY: dict[str, list[str]] = {
    **dict.fromkeys(CRD_NAMES, READ),
    "llmservices.medley.dev": ["get", *READ],
    **{f"{name}/status": [] if name in POWER_NAMES else ["patch"] for name in CRD_NAMES},
    "deployments.apps": ALL,
    "services": ALL,
    "poddisruptionbudgets.policy": ALL,
    "httproutes.gateway.networking.k8s.io": ALL,
    "gateways.gateway.networking.k8s.io": READ,
    "nodes": READ,
    "namespaces": READ,
    "pods": [*READ, "patch"],
    "horizontalpodautoscalers.autoscaling": READ,
    "verticalpodautoscalers.autoscaling.k8s.io": READ,
    **{f"{name}.resource.k8s.io": READ for name in ("resourceslices", "deviceclasses", "resourceclaims")},
    "clusterqueues.kueue.x-k8s.io": READ,
    "nodepools.karpenter.sh": READ,
    "resourceclaims.resource.k8s.io/status": [],
    "events.events.k8s.io": ["create"],
    **{
        name: []
        for name in (
            *("secrets", "configmaps", "serviceaccounts", "nodes/status", "pods/exec"),
            *("statefulsets.apps", "daemonsets.apps", "replicasets.apps", "deployments.apps/scale", "events"),
            *("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"),
            *("customresourcedefinitions.apiextensions.k8s.io", "services/proxy", "persistentvolumeclaims"),
            "leases.coordination.k8s.io",
        )
    },
}


@pytest.mark.parametrize("resource", MAY)
def test_service_account_may_exactly(release: Api, resource: str) -> None:
    name, _, subresource = resource.partition("/")
    plural, _, group = name.partition(".")
    for verb in [*ALL, *NEVER]:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": ACCOUNT,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": "default"
                },
            },
        }  # fmt: skip
        _, answer = release.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert answer["status"]["allowed"] is (verb in MAY[resource]), f"{verb} {resource}"


def test_what_it_learned_is_kept_in_one_config_map_of_its_own_namespace(release: Api) -> None:
    def apply(name: str, namespace: str) -> None:
        metadata = {"name": name, "namespace": namespace}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}
        release.kubectl("apply", "--server-side", "--as", ACCOUNT, "-f", "-", stdin=json.dumps(manifest))

    for _ in ("create", "change"):
        apply(CONFIG_MAP, NAMESPACE)
    for name, namespace in (("other", NAMESPACE), (CONFIG_MAP, "default")):
        with pytest.raises(CommandFailed, match="forbidden"):
            apply(name, namespace)


def may(api: Api, user: str, verb: str, resource: str, *, namespace: str, name: str = "") -> bool:
    """The API server's answer about a user without groups. `resource`: PLURAL.GROUP, or PLURAL.GROUP/SUBRESOURCE."""
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    attributes |= {"namespace": namespace, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    _, answer = api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_no_secret_is_readable(release: Api) -> None:
    """Not even of its own namespace: what it needs is mounted into its pod."""
    release.kubectl("create", "secret", "generic", "hf-token", "-n", NAMESPACE, "--from-literal=token=s3cret")
    account = release.plane.service_account_kubeconfig(NAMESPACE, RELEASE)
    for namespace in (NAMESPACE, "default", "kube-system"):
        for verb in ("get", "list", "watch"):
            assert not may(release, ACCOUNT, verb, "secrets", namespace=namespace)
            assert not may(release, ACCOUNT, verb, "secrets", namespace=namespace, name="hf-token")
    for asked in (("get", "secret", "hf-token"), ("get", "secrets"), ("describe", "secret", "hf-token")):
        with pytest.raises(CommandFailed, match=r"[Ff]orbidden"):
            release.kubectl(*asked, "-n", NAMESPACE, kubeconfig=account)
    with pytest.raises(CommandFailed, match=r"[Ff]orbidden"):
        release.kubectl("create", "token", RELEASE, "-n", NAMESPACE, kubeconfig=account)


def test_its_lease_is_one_of_its_own_namespace(release: Api) -> None:
    leases = "leases.coordination.k8s.io"
    granted = {
        verb
        for verb in (*ALL, *NEVER)
        if may(release, ACCOUNT, verb, leases, namespace=NAMESPACE, name=Settings().lease_name)
    }
    assert granted == {"get", "create", "update"}
    for name, namespace in (("other", NAMESPACE), (Settings().lease_name, "default"), ("", "kube-node-lease")):
        assert not may(release, ACCOUNT, "update", leases, namespace=namespace, name=name)


def test_who_may_edit_a_namespace_may_write_its_llm_services(release: Api) -> None:
    """No role gave tenants their own kind: only admins of the cluster could write an LLMService."""
    release.kubectl("create", "namespace", "tenant")
    try:
        for role in ("view", "edit"):
            release.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er", "-n", "tenant")
        services = "llmservices.medley.dev"
        deadline = time.monotonic() + 10
        # A controller gathers the rules into the cluster's roles.
        while not may(release, "editer", "create", services, namespace="tenant"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        writes = ["create", "update", "patch", "delete", "deletecollection"]
        for user, verbs in (("viewer", READ), ("editer", READ + writes)):
            for verb in READ + writes:
                assert may(release, user, verb, services, namespace="tenant") is (verb in verbs), f"{user} {verb}"
                assert not may(release, user, verb, services, namespace="default")
            assert not may(release, user, "patch", "llmservices.medley.dev/status", namespace="tenant")
            assert not may(release, user, "create", "gpupools.medley.dev", namespace="")
    finally:
        release.kubectl("delete", "namespace", "tenant", "--wait=false")


def test_kubectl_auth_can_i_agrees(release: Api) -> None:
    as_account = ("--as", ACCOUNT, "--all-namespaces")
    assert (
        release.kubectl("auth", "can-i", "patch", "llmservices.medley.dev", "--subresource=status", *as_account).strip()
        == "yes"
    )
    with pytest.raises(CommandFailed):
        release.kubectl("auth", "can-i", "get", "secrets", *as_account)


def test_upgrade_then_uninstall_keeps_the_crds_and_their_objects(release: Api) -> None:
    pool = {
        "apiVersion": "medley.dev/v1alpha1",
        "kind": "GPUPool",
        "metadata": {"name": "kept"},
        "spec": {"gpu": "L4", "nodeSelector": {"a": "b"}, "capacity": {"gpusPerNode": 1}, "cost": {"perHour": "1"}},
    }
    release.kubectl("apply", "-f", "-", stdin=json.dumps(pool))
    try:
        url = "prometheus.url=http://prometheus.monitoring:9090"
        change = (*SET_IMAGE, "--set", url, "--set-string", "podAnnotations.tested=upgraded")
        release.helm("upgrade", RELEASE, CHART, "-n", NAMESPACE, *change)
        pod = wait_for_pod(release, annotation="upgraded")
        assert f"--{url.replace('.url', '-url')}" in pod["spec"]["containers"][0]["args"]
        # The play-acted job of the test ends, as it would where the operator answers.
        release.helm("test", RELEASE, "-n", NAMESPACE, "--timeout", "60s")
        release.helm("rollback", RELEASE, "1", "-n", NAMESPACE)
        assert "--prometheus-url" not in release.kubectl("get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "yaml")
        release.helm("uninstall", RELEASE, "-n", NAMESPACE)
        assert release.kubectl("get", "crd", *CRD_NAMES, "-o", "name").count("customresourcedefinition") == len(KINDS)
        assert "kept" in release.kubectl("get", "gpool", "kept", "-o", "name")
        assert release.kubectl("get", "deployment,service,serviceaccount", "-n", NAMESPACE, "-o", "name").split() == [
            "serviceaccount/default"
        ]
    finally:
        release.kubectl("delete", "gpool", "kept")


def test_power_is_a_process_of_its_own(api: Api, tmp_path: Path) -> None:
    objects = rendered(api, tmp_path, "powered")
    deployments = {each["metadata"]["name"]: each["spec"] for each in objects["Deployment"]}
    operator, controller = deployments[RELEASE], deployments[f"{RELEASE}-power"]
    labels = controller["selector"]["matchLabels"]
    assert labels != operator["selector"]["matchLabels"]
    pod = controller["template"]["spec"]
    assert pod["serviceAccountName"] == f"{RELEASE}-power" != operator["template"]["spec"]["serviceAccountName"]
    (run,) = pod["containers"]
    assert run["command"] == ["medley", "power", "controller"]
    parser = argparse.ArgumentParser()
    power_settings.add_arguments(parser)
    given = power_settings.from_arguments(parser.parse_args(run["args"]), {})
    assert given.hook_secret_file is not None
    assert given.prometheus_bearer_token_file is not None
    assert given.leader_election
    assert given.namespace == NAMESPACE
    assert given.hook_hosts == ("facility.example",)
    assert given.dynamo_annotations
    (role,) = (each for each in objects["ClusterRole"] if each["metadata"]["name"] == f"{RELEASE}-power")
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]} in role["rules"]
    mounts = {each["mountPath"] for each in run["volumeMounts"]}
    assert {str(given.hook_secret_file.parent), str(given.prometheus_bearer_token_file.parent)} <= mounts
    assert {each["name"] for each in run["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert [rule["metadata"]["name"] for rule in objects["PrometheusRule"]] == [
        f"{RELEASE}-{name}" for name in ("fleet", "power", "services")
    ]
    assert len(objects["ServiceMonitor"]) == len(objects["PodDisruptionBudget"]) == 2
