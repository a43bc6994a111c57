"""The image as it runs in a cluster: as its user, on a read-only root with nothing but /tmp to write to.

`make image-test` builds it and names it in MEDLEY_TEST_IMAGE. It is mounted, not run by a container engine: that needs
root, and nothing else that a machine for tests may lack.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.controlplane import ControlPlane
from e2e.controlplane.plane import free_port
from tests.contract.apiserver import Api
from tests.contract.operator_process import chart_account, wait_for

IMAGE = os.environ.get("MEDLEY_TEST_IMAGE", "")
ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = 250
GIVEN = "/tmp/given"  # noqa: S108 - a tmpfs of the container's own
STORE = ("buildah", "--storage-driver=vfs")

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not IMAGE, reason="MEDLEY_TEST_IMAGE is not set: run make image-test"),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("buildah") is None, reason="needs root and buildah"),
]

ENTER = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs -o mode=1777 none "$1/tmp" || exit 99
mkdir "$1/tmp/given" && cp -r "$2"/. "$1/tmp/given" && chmod -R a+rX "$1/tmp/given" || exit 99
root=$1; shift 2
exec chroot --userspec=65532:65532 "$root" /opt/medley/bin/medley "$@"
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Where the image's root file system is mounted."""
    container = subprocess.check_output([*STORE, "from", IMAGE], text=True).strip()
    yield Path(subprocess.check_output([*STORE, "mount", container], text=True).strip())
    subprocess.check_call([*STORE, "rm", container], stdout=subprocess.DEVNULL)


def inside(root: Path, given: Path, *arguments: str) -> list[str]:
    """The command line that runs medley in there; the files of `given` are in /tmp/given."""
    return ["unshare", "--mount", "sh", "-c", ENTER, "enter", str(root), str(given), *arguments]


def ran(root: Path, given: Path, *arguments: str) -> str:
    return subprocess.run(
        inside(root, given, *arguments), check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_size(root: Path) -> None:
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    assert sum(path.stat().st_size for path in files) / 1e6 < MOST_MEGABYTES


def test_version_and_a_plan(root: Path, tmp_path: Path) -> None:
    assert ran(root, tmp_path, "--version").strip()
    shutil.copytree(ROOT / "examples" / "quickstart", tmp_path, dirs_exist_ok=True)
    assert "$" in ran(root, tmp_path, "plan", "-f", GIVEN)


def test_the_operator_becomes_ready(root: Path, plane: ControlPlane, admin: Api, tmp_path: Path) -> None:
    admin.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    _, kubeconfig = chart_account(plane, admin, ROOT)
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(kubeconfig, given / "kubeconfig")
    port = free_port()
    arguments = ["--bind-address", "127.0.0.1", "--port", str(port), "--capacity-cache-dir", f"{GIVEN}/tables"]
    inspected = json.loads(subprocess.check_output([*STORE, "inspect", "--type", "image", IMAGE]))
    own = dict(each.split("=", 1) for each in inspected["OCIv1"]["config"]["Env"])
    # PATH is for what enters the image; its command is named by its whole path.
    environment = {**own, "KUBECONFIG": f"{GIVEN}/kubeconfig", "PATH": os.environ["PATH"]}
    process = subprocess.Popen(inside(root, given, "operator", *arguments), env=environment)
    try:
        wait_for("the operator is Ready", lambda: is_ready(port), timeout_seconds=60)
    finally:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    """Ready is one that acts and whose rounds succeed."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False
