"""Guards on the repository's layout: a top-level folder named `operator` must never shadow the standard library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_operator_folder_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_import_operator_in_the_repository_root_is_the_standard_library() -> None:
    code = "import operator, sys; print(operator.__file__); print(operator.itemgetter)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert str(ROOT) not in shown.splitlines()[0]
    assert "itemgetter" in shown


def test_top_level_is_fixed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in tracked.splitlines()}
    assert top <= {
        ".ci", ".github", ".gitignore", "LICENSE", "Makefile", "README.md", "crds", "docs", "e2e", "examples", "helm",
        "operator", "planner", "pyproject.toml", "requirements.lock", "tests",
        # The image: docker looks for these at the root.
        ".dockerignore", "Dockerfile", "requirements-build.lock", "requirements-runtime.lock",
    }  # fmt: skip
