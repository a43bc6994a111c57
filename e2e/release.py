"""`make release-check`: wheel, chart and CRDs as a user gets them, away from this tree.

The wheel is made from the source distribution and installed, with the locked dependencies and nothing else, into an
environment of its own outside of the tree. What runs there must know its version, plan the quickstart, and write the
very CRDs that stand in the tree and in the chart. krew installs `kubectl medley` from its archive, and actionlint reads
the workflows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.controlplane.build import ensure_component
from e2e.controlplane.errors import ControlPlaneError
from e2e.controlplane.recipes import ACTIONLINT, COMPONENTS, KREW
from e2e.krew import PYTHON, manifest, pack

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "medley"
NOWHERE = "https://krew.invalid"
"""The address of the archive where none is given: krew installs it from the file."""


class ReleaseError(Exception):
    """What is not as a release needs it, with the way out."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is released, in `folder`."""

    version: str
    folder: Path

    def run(self, *command: str | Path, variables: Mapping[str, str] | None = None) -> str:
        """Standard output of a command that runs outside of the tree and finds nothing of it, with these variables
        besides those that there are. Raises `ReleaseError`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        argv = [str(each) for each in command]
        done = subprocess.run(
            argv, cwd=self.folder, env={**kept, **(variables or {})}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ReleaseError(f"{' '.join(argv)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def build(self) -> Path:
        """Makes the source distribution, and from it the wheel. Returns the wheel."""
        uv = Path(sys.executable).parent / "uv"
        self.run(
            uv, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", self.folder, ROOT
        )
        wheel = self.folder / f"medley_operator-{self.version}-py3-none-any.whl"
        if not wheel.is_file():
            made = ", ".join(path.name for path in self.folder.iterdir())
            raise ReleaseError(f"the build made {made}, and not {wheel.name}")
        return wheel

    def check_wheel(self, wheel: Path, *, environment: Path) -> None:
        """Installs the wheel in an empty environment and runs it."""
        venv.create(environment, with_pip=True)
        pip = (environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements-runtime.lock")
        self.run(*pip, "--no-deps", "--no-index", wheel)
        for command in ("medley", "kubectl-medley"):
            self._check_command(environment / "bin" / command)
        written = self.folder / "crds"
        self.run(environment / "bin" / "python", "-m", "medley_operator.api.crdgen", "--output", written)
        for folder in (ROOT / "crds", CHART / "files" / "crds"):
            if _texts(folder) != _texts(written):
                raise ReleaseError(
                    f"{folder.relative_to(ROOT)} differs from the CRDs that the wheel writes: run make crds"
                )

    def check_chart(self) -> None:
        """Compares versions, lints and packs the chart."""
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
        if {chart["version"], chart["appVersion"]} != {self.version}:
            raise ReleaseError(
                f"helm/medley/Chart.yaml has version {chart['version']} and appVersion {chart['appVersion']}, "
                f"pyproject.toml {self.version}: run make version"
            )
        helm = _found("helm")
        self.run(helm, "lint", "--strict", "--set", "image.repository=registry.example.com/medley-operator", CHART)
        self.run(helm, "package", CHART, "--destination", self.folder)

    def check_plugin(self, environment: Path, *, url: str, folder: Path) -> None:
        """Packs what is installed there as a plugin of krew, with its manifest for archives at `url`, into `folder`;
        krew installs it from there, and kubectl finds and runs it."""
        packages = environment / "lib" / f"python{PYTHON}" / "site-packages"
        archive = pack(packages, ROOT / "LICENSE", version=self.version, folder=folder)
        described = folder / "krew-medley.yaml"
        text = yaml.safe_dump(manifest([archive], version=self.version, url=url), sort_keys=False)
        described.write_text(text, encoding="utf-8")
        home = environment / "krew"
        variables = {"KREW_ROOT": str(home), "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
        krew = ensure_component(KREW) / "krew"
        self.run(krew, "install", f"--manifest={described}", f"--archive={archive}", variables=variables)
        self._check_command(_found("kubectl"), "medley", variables=variables)

    def _check_command(self, *medley: str | Path, variables: Mapping[str, str] | None = None) -> None:
        """It knows its version and plans the quickstart."""
        named = " ".join(map(str, medley))
        said = self.run(*medley, "version", variables=variables).strip()
        if said != f"medley {self.version}":
            raise ReleaseError(f"{named} says {said!r}; pyproject.toml has version {self.version}")
        quickstart = ROOT / "examples" / "quickstart"
        if not _replicas(json.loads(self.run(*medley, "plan", "-f", quickstart, "-o", "json", variables=variables))):
            raise ReleaseError(f"{named} plans no replica for examples/quickstart")

    def check_workflows(self) -> None:
        """actionlint reads them, and alike everywhere: without the tools that it calls where they are installed."""
        workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
        self.run(ensure_component(ACTIONLINT) / "actionlint", "-shellcheck=", "-pyflakes=", *workflows)


def _found(name: str) -> Path:
    """A program of the control plane: on the PATH, else built."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    return ensure_component(next(each for each in COMPONENTS if name in dict(each.binaries))) / name


def _replicas(plan: dict[str, Any]) -> int:
    return sum(each["replicas"] for service in plan["services"] for each in service["mix"])


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}


def _changelog_names(version: str) -> bool:
    return f"\n## {version}" in (ROOT / "docs" / "CHANGELOG.md").read_text(encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.release", description="Check what a release would be.")
    parser.add_argument("--out", type=Path, help="empty folder that keeps wheel, source, chart and CRDs")
    parser.add_argument("--tag", default="", help="tag of the release, v<version>")
    parser.add_argument(
        "--krew-url", default="", help="also keep the plugin of krew, whose archive will be served below this address"
    )
    options = parser.parse_args()
    version = str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    try:
        if options.tag and options.tag != f"v{version}":
            raise ReleaseError(f"tag {options.tag} is not v{version}, the version of pyproject.toml")
        if not _changelog_names(version):
            raise ReleaseError(f"docs/CHANGELOG.md has no section {version}")
        with tempfile.TemporaryDirectory(prefix="medley-release-") as temporary:
            folder = options.out.resolve() if options.out else Path(temporary) / "out"
            folder.mkdir(parents=True, exist_ok=True)
            release = Release(version=version, folder=folder)
            release.check_workflows()
            release.check_chart()
            environment = Path(temporary) / "environment"
            release.check_wheel(release.build(), environment=environment)
            plugin = folder if options.krew_url else Path(temporary)
            release.check_plugin(environment, url=options.krew_url or NOWHERE, folder=plugin)
            names = ", ".join(sorted(path.name for path in folder.iterdir()))
    except (ReleaseError, ControlPlaneError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"release: {version} is whole: {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
