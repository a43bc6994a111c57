"""One real control plane for all contract tests of a run; each test keeps to its own namespaces and names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.controlplane import ControlPlane
from medley_operator.api.v1alpha1 import GROUP, KINDS
from tests.contract.apiserver import Api

CRDS = Path(__file__).parents[2] / "crds"
_ESTABLISH_SECONDS = 20


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """API server, etcd, controllers, scheduler and kwok; neither our CRDs nor those of the Gateway API."""
    with ControlPlane.start(controllers=True, kwok=True) as plane:
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    """The control plane as its admin sees it."""
    client = Api(control_plane)
    yield client
    client.close()


@pytest.fixture(scope="session")
def crds(api: Api) -> Api:
    """`api`, with the CRDs of the project served."""
    api.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    deadline = time.monotonic() + _ESTABLISH_SECONDS
    for kind in KINDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{GROUP}"
        while not _established(api, path):
            assert time.monotonic() < deadline, f"{path}: {json.dumps(api.request('GET', path)[1])}"
            time.sleep(0.1)
    return api


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane of the module's own, without controllers and kwok: it may break or change what is shared."""
    with ControlPlane.start(controllers=False, kwok=False) as plane:
        yield plane


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[Api]:
    """The module's own control plane as its admin sees it."""
    client = Api(plane)
    yield client
    client.close()


def _established(api: Api, path: str) -> bool:
    _, answer = api.request("GET", path)
    conditions = answer.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
