"""A real Kubernetes control plane without containers, for tests and for the demo."""

from e2e.controlplane.build import Assets, ensure_assets
from e2e.controlplane.errors import BuildError, CommandFailed, ControlPlaneError, StartError
from e2e.controlplane.kwok import kwok_node
from e2e.controlplane.plane import ControlPlane, free_port

__all__ = [
    "Assets",
    "BuildError",
    "CommandFailed",
    "ControlPlane",
    "ControlPlaneError",
    "StartError",
    "ensure_assets",
    "free_port",
    "kwok_node",
]
