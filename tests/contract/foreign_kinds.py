"""The CRDs of other projects whose objects the docs show, from their own modules at pinned versions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from e2e.controlplane.build import ensure_component
from e2e.controlplane.recipes import ENVOY_GATEWAY, Component
from tests.contract.apiserver import Api

COMPONENTS = (
    Component(
        name="keda",
        module="github.com/kedacore/keda/v2",
        files=(("config/crd/bases/keda.sh_scaledobjects.yaml", "scaledobjects.yaml"),),
    ),
    Component(
        name="karpenter",
        module="sigs.k8s.io/karpenter",
        files=(("pkg/apis/crds/karpenter.sh_nodepools.yaml", "nodepools.yaml"),),
    ),
    Component(
        name="prometheus-operator",
        module="github.com/prometheus-operator/prometheus-operator",
        files=(("example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml", "podmonitors.yaml"),),
    ),
    dataclasses.replace(
        ENVOY_GATEWAY,
        binaries=(),
        files=(
            (
                "charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_backendtrafficpolicies.yaml",
                "backendtrafficpolicies.yaml",
            ),
        ),
    ),
)


def apply_foreign_kinds(api: Api) -> None:
    """Installs them, and waits until all CRDs are served."""
    for path in (Path(ensure_component(each)) / each.files[0][1] for each in COMPONENTS):
        # Envoy Gateway's stands in a chart's template: its first and last lines are Helm's.
        text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("{{"))
        api.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    api.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
