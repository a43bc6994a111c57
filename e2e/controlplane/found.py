"""Binaries that are there already: in `KUBEBUILDER_ASSETS` and on PATH, if they are recent enough.

Each candidate is asked for its version; one that is too old, or does not answer, is passed over, and a line says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Requirement:
    """How to ask a binary for its version, and the oldest (major, minor) that will do."""

    version_arguments: tuple[str, ...]
    at_least: Version


REQUIREMENTS: Mapping[str, Requirement] = {
    "etcd": Requirement(("--version",), (3, 6)),
    "kube-apiserver": Requirement(("--version",), (1, 35)),
    "kube-controller-manager": Requirement(("--version",), (1, 35)),
    "kube-scheduler": Requirement(("--version",), (1, 35)),
    "kubectl": Requirement(("version", "--client"), (1, 35)),
    "helm": Requirement(("version", "--short"), (3, 14)),
    "kwok": Requirement(("--version",), (0, 7)),
    "prometheus": Requirement(("--version",), (3, 0)),
    "promtool": Requirement(("--version",), (3, 0)),
}
KUBEBUILDER_BINARIES = ("etcd", "kube-apiserver", "kubectl")


def parse_version(text: str) -> Version | None:
    """The first major.minor in what a binary prints of its version; None where there is none."""
    found = re.search(r"\bv?(\d+)\.(\d+)(?:\.\d+)?", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


def binary_version(path: Path, arguments: tuple[str, ...]) -> Version | None:
    try:
        answer = subprocess.run([str(path), *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout or answer.stderr) if answer.returncode == 0 else None


def find(name: str, *, environment: Mapping[str, str], progress: Callable[[str], None]) -> Path | None:
    """The path of a recent enough `name`, from KUBEBUILDER_ASSETS, else from PATH; None where it must be built."""
    requirement = REQUIREMENTS[name]
    candidates: list[Path] = []
    assets = environment.get("KUBEBUILDER_ASSETS", "")
    if assets and name in KUBEBUILDER_BINARIES:
        candidates.append(Path(assets) / name)
    on_path = shutil.which(name, path=environment.get("PATH", ""))
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        version = binary_version(candidate, requirement.version_arguments)
        if version is not None and version >= requirement.at_least:
            return candidate
        needed = ".".join(map(str, requirement.at_least))
        if not candidate.exists():
            progress(f"{candidate} is not there: passed over")
            continue
        have = "gives no version" if version is None else f"is {version[0]}.{version[1]}"
        progress(f"{candidate} {have}, {needed} or newer is needed: passed over")
    return None
