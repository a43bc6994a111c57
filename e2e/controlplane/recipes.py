"""The parts of the control plane: for each component its Go module, packages and build flags, as data.

The versions stand in `gomod/<component>/go.mod`, the one place for them; the stamps below are read from there. Changing
a component's go.mod, go.sum or recipe changes its key in the cache, so that only this component is built anew.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

GOMOD = Path(__file__).parent / "gomod"


@dataclass(frozen=True, slots=True)
class Component:
    """One Go module and the binaries built from it, as (name, package). No binary: the module is only downloaded."""

    name: str
    module: str
    binaries: tuple[tuple[str, str], ...] = ()
    tags: str = ""
    stamps: tuple[str, ...] = ()
    """Linker -X settings; {version} is the module's version without its v."""
    files: tuple[tuple[str, str], ...] = ()
    """(folder or file in the module, where it goes in the cache)."""

    @property
    def folder(self) -> Path:
        return GOMOD / self.name

    def version(self) -> str:
        """The module's version as go.mod requires it, such as v1.37.2."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"^(?:require )?\s*{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found.group(1)

    def ldflags(self) -> str:
        version = self.version().removeprefix("v")
        major, minor, _ = version.split(".", 2)
        stamps = [stamp.format(version=version, major=major, minor=minor) for stamp in self.stamps]
        return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])

    def build_flags(self) -> tuple[str, ...]:
        """The arguments of `go build` besides the packages and where the binaries go.

        Neither debug information, which is stripped anyway, nor inlining: that is a third less to compile (measured on
        etcd, 133 to 91 CPU seconds), and a test's servers can be a little slower.
        """
        fixed = ("-trimpath", "-gcflags=all=-dwarf=false -l", "-ldflags", self.ldflags())
        return (*fixed, *(("-tags", self.tags) if self.tags else ()))

    def go_needed(self) -> tuple[int, int, int]:
        """The oldest Go (major, minor, patch) that go.mod admits."""
        found = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", (self.folder / "go.mod").read_text(), re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.folder / 'go.mod'} names no Go version")
        return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)

    def cache_key(self) -> str:
        digest = hashlib.sha256(repr((self, self.build_flags())).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


_KUBE_VERSION = "k8s.io/component-base/version"
# The module's version 0.316.0 is the release 3.16.0, and Prometheus answers what it is stamped with.
_PROMETHEUS_RELEASE = "3.16.0"

COMPONENTS: tuple[Component, ...] = (
    Component(
        name="etcd",
        module="go.etcd.io/etcd/server/v3",
        binaries=(("etcd", "go.etcd.io/etcd/server/v3"),),
    ),
    Component(
        name="kubernetes",
        module="k8s.io/kubernetes",
        binaries=tuple(
            (name, f"k8s.io/kubernetes/cmd/{name}")
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        ),
        stamps=(
            _KUBE_VERSION + ".gitVersion=v{version}",
            _KUBE_VERSION + ".gitMajor={major}",
            _KUBE_VERSION + ".gitMinor={minor}",
        ),
    ),
    Component(
        name="kwok",
        module="sigs.k8s.io/kwok",
        binaries=(("kwok", "sigs.k8s.io/kwok/cmd/kwok"),),
        files=(
            ("kustomize/stage/node/fast/node-initialize.yaml", "stages/node-initialize.yaml"),
            ("kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml", "stages/node-heartbeat.yaml"),
            ("kustomize/stage/pod/fast/pod-ready.yaml", "stages/pod-ready.yaml"),
            ("kustomize/stage/pod/fast/pod-complete.yaml", "stages/pod-complete.yaml"),
            ("kustomize/stage/pod/fast/pod-delete.yaml", "stages/pod-delete.yaml"),
        ),
    ),
    Component(
        name="helm",
        module="helm.sh/helm/v4",
        binaries=(("helm", "helm.sh/helm/v4/cmd/helm"),),
        stamps=("helm.sh/helm/v4/internal/version.version=v{version}",),
    ),
    Component(
        name="prometheus",
        module="github.com/prometheus/prometheus",
        binaries=(
            ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
            ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
        ),
        tags="remove_all_sd,enable_kubernetes_sd,netgo",
        stamps=(f"github.com/prometheus/common/version.Version={_PROMETHEUS_RELEASE}",),
    ),
    Component(
        name="gateway-api",
        module="sigs.k8s.io/gateway-api",
        files=(("config/crd/standard", "crds"),),
    ),
    Component(
        name="inference-extension",
        module="sigs.k8s.io/gateway-api-inference-extension",
        files=(("config/crd/bases/inference.networking.k8s.io_inferencepools.yaml", "pool-crds/inferencepools.yaml"),),
    ),
)

ENVOY_GATEWAY = Component(
    name="envoy-gateway",
    module="github.com/envoyproxy/gateway",
    binaries=(("envoy-gateway", "github.com/envoyproxy/gateway/cmd/envoy-gateway"),),
    files=(
        ("charts/gateway-crds-helm/templates/generated", "crds"),
        ("charts/gateway-crds-helm/templates/experimental-gatewayapi-crds.yaml", "gateway-api.yaml"),
    ),
)
"""No part of the control plane: what answers the routes of `e2e.gateway`, which builds it itself."""

KREW = Component(name="krew", module="sigs.k8s.io/krew", binaries=(("krew", "sigs.k8s.io/krew/cmd/krew"),))
ACTIONLINT = Component(
    name="actionlint",
    module="github.com/rhysd/actionlint",
    binaries=(("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),),
)
"""Neither are these: what `e2e.release` installs the plugin and reads the workflows with. Both build in seconds."""
