"""The Prometheus configuration of a run: real pod discovery, with only the address of each pod bent to the fake fleet.

Pods are found through the API server by their label, as in a cluster. Where a pod's own address leads nowhere,
relabelling sends the scrape to the fleet's loopback address under the pod's path; the labels that the operator reads
are kept exactly as docs/reference.md asks for. `instance` stays the pod's own address, as a user's Prometheus has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[1] / "helm" / "medley" / "files"
RULES_SECONDS = 5
ENGINE_JOB = "engines"
OPERATOR_JOB = "medley"


def scrape_config(
    *,
    kubeconfig: Path,
    fleet_address: str | None,
    operator_address: str | None = None,
    scrape_interval: str = "1s",
) -> str:
    """YAML for Prometheus. Addresses are `host:port` (a URL of http://host:port is taken too).

    `kubeconfig` must be allowed to list and watch pods in all namespaces; `fleet_address` None scrapes pods at their
    own addresses; `operator_address` is where the operator serves its /metrics, None leaves that job out.
    """
    jobs = [_engines(kubeconfig, None if fleet_address is None else _host_port(fleet_address))]
    if operator_address is not None:
        jobs.append({"job_name": OPERATOR_JOB, "static_configs": [{"targets": [_host_port(operator_address)]}]})
    config = {
        "global": {
            "scrape_interval": scrape_interval,
            "scrape_timeout": scrape_interval,
            "evaluation_interval": f"{RULES_SECONDS}s",
        },
        "rule_files": [str(RULES / "rules" / "*.yaml"), str(RULES / "alerts" / "*.yaml")],
        "scrape_configs": jobs,
    }
    return yaml.safe_dump(config, sort_keys=False)


def _engines(kubeconfig: Path, fleet: str | None) -> dict[str, Any]:
    bent = [
        {
            "source_labels": ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"],
            "separator": "/",
            "replacement": "/metrics/$1",
            "target_label": "__metrics_path__",
        },
        {"target_label": "__address__", "replacement": fleet},
    ]
    return {
        "job_name": ENGINE_JOB,
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "kubeconfig_file": str(kubeconfig),
                "selectors": [{"role": "pod", "label": "app.kubernetes.io/component=engine"}],
            }
        ],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": "http", "action": "keep"},
            {"source_labels": ["__address__"], "target_label": "instance"},
            *([] if fleet is None else bent),
            {"regex": "__meta_kubernetes_pod_label_(.+)", "action": "labelmap"},
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    }


def _host_port(address: str) -> str:
    return address.removeprefix("http://").rstrip("/")
