"""`make audit`: asks the vulnerability database of PyPI about all versions that run in the image.

pip-audit says that nothing is known where nobody could be asked, and ends alike for a fault found and for no answer.
This tells them apart. Exit status: 0 all were checked and none has a known fault, 1 faults are known, 3 not all could
be checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medley_planner.exit_status import ExitStatus

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-runtime.lock"
TOOL = "pip-audit==2.10.1"
MOST_REASONS = 3


def main() -> int:
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "tool", "run", "--quiet", "--from", TOOL, "pip-audit", "--disable-pip", "--require-hashes"]
    done = subprocess.run(
        [*command, "--requirement", str(LOCK), "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        print(f"audit: nothing was checked: {TOOL} failed with {done.returncode}:\n{done.stderr}", file=sys.stderr)
        return ExitStatus.NOT_ALL
    status, said = judged(answers)
    print(said, file=sys.stdout if status == ExitStatus.OK else sys.stderr)
    return status


def judged(answers: Sequence[dict[str, Any]]) -> tuple[ExitStatus, str]:
    """The exit status and what to print. `answers`: pip-audit's, one for each package."""
    unchecked = [each for each in answers if "skip_reason" in each]
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for each in answers
        for fault in each.get("vulns", ())
    ]
    checked = len(answers) - len(unchecked)
    lines = [f"audit: {checked} of {len(answers)} versions of {LOCK.name} were checked, {len(faults)} faults are known"]
    lines += [f"  {fault}" for fault in faults]
    if unchecked:
        lines += [f"  not checked: {each['skip_reason']}" for each in unchecked[:MOST_REASONS]]
        lines += [f"  and {len(unchecked) - MOST_REASONS} more"] if len(unchecked) > MOST_REASONS else []
        lines.append("  It asks https://pypi.org/pypi/NAME/VERSION/json: run it where that can be reached")
    status = ExitStatus.FAILED if faults else ExitStatus.NOT_ALL if unchecked or not answers else ExitStatus.OK
    return status, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
