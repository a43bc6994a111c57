"""`python -m e2e.controlplane build | where | up`: build the binaries, print where they are, or run a control plane."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time
from types import FrameType

from e2e.controlplane.build import ensure_assets
from e2e.controlplane.errors import ControlPlaneError
from e2e.controlplane.plane import ControlPlane


def _up(*, gateway_api: bool) -> None:
    def end(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Both by hand: a shell without job control starts its background commands with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with ControlPlane.start() as plane:
        if gateway_api:
            plane.apply_gateway_api_crds()
            plane.apply_inference_pool_crds()
        print(
            f"export KUBECONFIG={plane.kubeconfig}\nAPI server {plane.api_url}\nlogs {plane.logs_dir}\nCtrl-C ends it.",
            flush=True,
        )
        while True:
            # No lock, which the handler could find taken, and no long call, which a signal could come right before.
            time.sleep(1.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build all binaries")
    commands.add_parser("where", help="print the path of each binary")
    up = commands.add_parser("up", help="run a control plane until Ctrl-C")
    up.add_argument("--gateway-api", action="store_true", help="install the CRDs of the Gateway API and InferencePool")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            _up(gateway_api=arguments.gateway_api)
            return 0
        assets = ensure_assets()
        if arguments.command == "where":
            for name, path in dataclasses.asdict(assets).items():
                print(f"{name}\t{path}")
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
