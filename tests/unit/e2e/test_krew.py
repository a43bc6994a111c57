"""The krew plugin: an archive that runs from wherever krew unpacks and links it, and a manifest that names it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from e2e.krew import LAUNCHER, PYTHON, manifest, pack

MAIN = "import sys\ndef main():\n    print(*sys.argv[1:], sep='|')\n    return 3\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Those of an environment whose `medley` prints its arguments."""
    site = tmp_path / "site-packages"
    for folder in ("medley_operator/cli", "pip", "pip-25.0.dist-info", "medley_operator/__pycache__"):
        (site / folder).mkdir(parents=True)
        (site / folder / "some.pyc").write_text("x")
    (site / "medley_operator" / "cli" / "main.py").write_text(MAIN)
    return site


def packed(packages: Path, folder: Path) -> Path:
    folder.mkdir()
    return pack(packages, Path("LICENSE"), version="1.2.3", folder=folder)


def test_the_launcher_runs_through_krews_link(packages: Path, tmp_path: Path) -> None:
    store, on_path = tmp_path / "store", tmp_path / "bin"
    on_path.mkdir()
    with tarfile.open(packed(packages, tmp_path / "out")) as archive:
        archive.extractall(store, filter="data")
    (on_path / LAUNCHER).symlink_to(store / LAUNCHER)
    (on_path / f"python{PYTHON}").symlink_to(sys.executable)
    environment = {"PATH": f"{on_path}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    command = [str(on_path / LAUNCHER), "status", "-o", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("status|-o|a b\n", "", 3)


def test_without_its_python_it_says_so(packages: Path, tmp_path: Path) -> None:
    with tarfile.open(packed(packages, tmp_path / "out")) as archive:
        archive.extractall(tmp_path / "store", filter="data")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("dirname", "readlink"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    command = ["/bin/sh", str(tmp_path / "store" / LAUNCHER)]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"python{PYTHON} is not on the PATH" in done.stderr


def test_it_holds_what_runs_and_no_more_and_is_the_same_again(packages: Path, tmp_path: Path) -> None:
    first = packed(packages, tmp_path / "first")
    with tarfile.open(first) as archive:
        names = archive.getnames()
    assert {LAUNCHER, "LICENSE", "lib/medley_operator/cli/main.py"} <= set(names)
    assert not [name for name in names if "pip" in name or "__pycache__" in name]
    assert packed(packages, tmp_path / "second").read_bytes() == first.read_bytes()


def test_the_manifest_names_the_archive_by_its_hash(packages: Path, tmp_path: Path) -> None:
    archive = packed(packages, tmp_path / "out")
    plugin = manifest([archive], version="1.2.3", url="https://example.com/v1.2.3/")
    (row,) = plugin["spec"]["platforms"]
    assert plugin["metadata"]["name"] == "medley"
    assert plugin["spec"]["version"] == "v1.2.3"
    assert row["uri"] == f"https://example.com/v1.2.3/{archive.name}"
    assert row["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert row["selector"]["matchLabels"]["os"] in ("linux", "darwin")
    assert row["bin"] == LAUNCHER
