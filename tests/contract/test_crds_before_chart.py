"""CRDs that kubectl applied before the chart: helm refuses to take them over unasked, and each way out that the
operator, the chart and the docs name works."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.controlplane import CommandFailed, ControlPlane
from medley_operator.api.v1alpha1 import KINDS
from tests.contract.apiserver import Api

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
CRDS = str(ROOT / "crds")
RELEASE, NAMESPACE = "medley", "medley-system"
CHART = (RELEASE, str(ROOT / "helm" / "medley"), "-n", NAMESPACE, "--set", "image.repository=example/medley")
DELETE_SECONDS, NUDGE_SECONDS = 120.0, 3.0
NAMES = [f"{kind.plural}.medley.dev" for kind in KINDS]


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[Api]:
    client = Api(plane)
    client.kubectl("create", "namespace", NAMESPACE)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def clean(admin: Api) -> Iterator[None]:
    """No CRD and no release before the test."""
    yield
    admin.helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found")
    admin.kubectl("delete", "crd", *NAMES, "--ignore-not-found", "--wait=false")
    deadline = time.monotonic() + DELETE_SECONDS
    while left := admin.kubectl("get", "crd", *NAMES, "--ignore-not-found", "-o", "name").split():
        assert time.monotonic() < deadline, f"not gone after {DELETE_SECONDS:.0f} s: {left}"
        # The API server cannot end the storage of a kind that has only just begun, and waits twice as long after each
        # try, minutes in the end; a change of the CRD makes it try at once.
        for name in left:
            with contextlib.suppress(CommandFailed):  # gone by now
                admin.kubectl("annotate", name, "--overwrite", f"example.com/tried={time.monotonic()}")
        time.sleep(NUDGE_SECONDS)


def install(admin: Api, *options: str) -> None:
    admin.helm("install", *CHART, *options)


def crds(admin: Api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(admin.kubectl("get", "crd", *NAMES, "-o", "json"))["items"]
    return items


def owners(admin: Api) -> set[str]:
    return {each["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by", "") for each in crds(admin)}


@pytest.mark.parametrize("apply", [("apply",), ("apply", "--server-side")], ids=["client side", "server side"])
def test_helm_refuses_crds_that_kubectl_applied_and_takes_them_over_when_told_to(
    admin: Api, apply: tuple[str, ...]
) -> None:
    admin.kubectl(*apply, "-f", CRDS)
    with pytest.raises(CommandFailed, match="cannot be imported into the current release"):
        install(admin)
    install(admin, "--take-ownership", "--force-conflicts")
    assert owners(admin) == {"Helm"}


def test_crds_of_an_older_medley_are_brought_up_to_date(admin: Api, tmp_path: Path) -> None:
    """kubectl applied them with other columns and fields; the chart's are what counts afterwards."""
    for file in (ROOT / "crds").iterdir():
        crd = yaml.safe_load(file.read_text())
        crd["spec"]["versions"][0]["additionalPrinterColumns"][0]["name"] = "Of-Then"
        (tmp_path / file.name).write_text(yaml.safe_dump(crd))
    admin.kubectl("apply", "-f", str(tmp_path))
    install(admin, "--take-ownership", "--force-conflicts")
    columns = [each["spec"]["versions"][0]["additionalPrinterColumns"][0]["name"] for each in crds(admin)]
    assert "Of-Then" not in columns


def test_crds_may_stay_kubectls(admin: Api) -> None:
    admin.kubectl("apply", "--server-side", "-f", CRDS)
    install(admin, "--set", "crds.install=false")
    assert owners(admin) == {""}


def test_the_operators_hint_mends_a_chart_without_crds(admin: Api) -> None:
    """The operator says that CRDs are not installed; both halves of its sentence work, in either order."""
    install(admin, "--set", "crds.install=false")
    admin.kubectl("apply", "--server-side", "-f", CRDS)
    with pytest.raises(CommandFailed, match="cannot be imported into the current release"):
        admin.helm("upgrade", *CHART, "--set", "crds.install=true")
    admin.helm("upgrade", *CHART, "--set", "crds.install=true", "--take-ownership", "--force-conflicts")
    assert owners(admin) == {"Helm"}


def test_the_docs_name_what_works() -> None:
    told = " ".join((ROOT / "helm" / "medley" / "README.md").read_text().split())
    for words in ("--take-ownership --force-conflicts", "crds.install=false", "kubectl apply --server-side -f crds/"):
        assert words in told
