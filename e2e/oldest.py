"""`make oldest`: the chart and the Deployments of engines against the schemas of the oldest and the newest Kubernetes.

An API server of the oldest version would take as long to build as the newest one of the tests. `kubernetes-validate`
has the schemas of each version, and refuses a field that one of them lacks. They take 70 MB, so it is run apart from
this environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from e2e.controlplane.build import ensure_component
from e2e.controlplane.recipes import COMPONENTS
from tests.contract.test_chart import CHART, IMAGE, VALUE_SETS
from tests.golden.deployment_cases import CASES, rendered

Manifest = dict[str, Any]
VALIDATOR = "kubernetes-validate==1.37.0"
OLDEST, NEWEST = "1.29", "1.37"
"""The chart's `kubeVersion`, and what the control plane of the tests is built from."""
ADMISSION, IMAGE_VOLUME = "1.30", "1.31"
"""The first versions with ValidatingAdmissionPolicy (of the power agent) and with image volumes (models from oci://)."""
_OWN_SCHEMAS = (".k8s.io",)


def main() -> int:
    helm = shutil.which("helm") or ensure_component(next(each for each in COMPONENTS if each.name == "helm")) / "helm"
    with tempfile.TemporaryDirectory(prefix="medley-oldest-") as temporary:
        folder = Path(temporary)
        objects = [each for each in (*charts(Path(helm), folder), *map(rendered, CASES)) if _has_schema(each)]
        failed = [version for version in (OLDEST, ADMISSION, IMAGE_VOLUME) if not _valid(objects, version, folder)]
        failed += [] if _valid(objects, NEWEST, folder, every=True) else [NEWEST]
    if failed:
        print(f"oldest: see above; not valid for Kubernetes {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"oldest: {len(objects)} objects are valid for Kubernetes {OLDEST} or what they need, and for {NEWEST}")
    return 0


def charts(helm: Path, folder: Path) -> Iterator[Manifest]:
    """The objects of the chart with each set of values of its tests."""
    for values in VALUE_SETS.values():
        file = folder / "values.yaml"
        file.write_text(yaml.safe_dump(values | {"image": IMAGE | values.get("image", {})}), encoding="utf-8")
        command = [str(each) for each in (helm, "template", "medley", CHART, "--namespace", "medley", "--values", file)]
        made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield from (each for each in yaml.safe_load_all(made) if each)


def needed_version(manifest: Manifest) -> str:
    """The oldest Kubernetes that has all that the object asks for."""
    if manifest["kind"].startswith("ValidatingAdmissionPolicy"):
        return ADMISSION
    pod = manifest.get("spec", {}).get("template", {}).get("spec", {})
    return IMAGE_VOLUME if any("image" in volume for volume in pod.get("volumes", ())) else OLDEST


def _has_schema(manifest: Manifest) -> bool:
    """Whether it is of a kind of Kubernetes itself."""
    group = manifest["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(_OWN_SCHEMAS)


def _valid(objects: list[Manifest], version: str, folder: Path, *, every: bool = False) -> bool:
    """Whether those that need this version are valid for it, or `every` one. What is wrong is printed."""
    tried = [each for each in objects if every or needed_version(each) == version]
    file = folder / f"{version}.yaml"
    file.write_text(yaml.safe_dump_all(tried), encoding="utf-8")
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "tool", "run", "--quiet", "--from", VALIDATOR, "kubernetes-validate", "-k", version, "--strict"]
    done = subprocess.run([*command, "--quiet", str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    # A kind without a schema is only warned of, and would pass unseen.
    well = done.returncode == 0 and "find schema" not in said
    if not well:
        print(said, file=sys.stderr)
    return well


if __name__ == "__main__":
    sys.exit(main())
