"""`python -m e2e.gateway`: finds or builds every program, enters the namespace, and becomes the run inside it.

A process may enter a user namespace only while it has one thread. So this one imports next to nothing: numpy alone
starts threads. Arguments and exit status are those of `inside`.
"""

from __future__ import annotations

import os
import sys

from e2e.controlplane import ControlPlaneError, ensure_assets
from e2e.gateway.errors import GatewayError
from e2e.gateway.install import ensure_programs
from e2e.gateway.namespace import POD_RANGE, enter_namespace


def main() -> int:
    try:
        # Before the namespace, in which no registry can be reached.
        ensure_assets()
        ensure_programs()
        enter_namespace(POD_RANGE)
    except KeyboardInterrupt:
        return 130
    except (ControlPlaneError, GatewayError) as error:
        print(f"e2e-gateway: {error}", file=sys.stderr)
        return 1
    # The namespaces stay with the process.
    return os.execv(sys.executable, [sys.executable, "-m", "e2e.gateway.inside", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
