"""The failures of the control plane, as exceptions whose messages carry the way out."""

from __future__ import annotations

from collections.abc import Sequence


class ControlPlaneError(Exception):
    """Base of all errors of this package."""


class BuildError(ControlPlaneError):
    """A binary could not be found or built."""


class StartError(ControlPlaneError):
    """A component did not become ready; the message carries the end of its log."""


class CommandFailed(ControlPlaneError):
    """A command against the control plane exited with another status than 0."""

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str) -> None:
        super().__init__(f"{' '.join(argv)}: exit status {returncode}\n{stderr.strip() or stdout.strip()}")
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
