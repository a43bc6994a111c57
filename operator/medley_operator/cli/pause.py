"""`medley pause SERVICE` and `medley resume SERVICE`: no plan is made and nothing is changed until it goes on.

Both write `spec.scaling.mode` with the user's own rights; an annotation keeps the mode from before. Exit status: 0
written, or as asked already; 2 there is no such service, it is not paused by this command, or the cluster cannot be
used.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import add_service, read_service, run_with_client
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import ExitStatus

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.kube.client import PersonClient

FIELD_MANAGER = "medley-pause"


def add_parser(subparsers: Any) -> None:
    """Adds the `pause` command to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "pause",
        help="make no plan for a service, and change nothing of it",
        description="Set spec.scaling.mode of an LLMService to Paused, for maintenance: what runs stays as it is. "
        '"medley resume" sets the mode from before. Needs the rights to get and patch the LLMService. Exit status: 0 '
        "paused, 2 there is no such service or the cluster cannot be used.",
    )
    add_service(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""

    async def action(client: PersonClient, namespace: str) -> int:
        print(await pause(client, args.service, namespace=namespace))
        return ExitStatus.OK

    return run_with_client("pause", action, namespace=args.namespace)


async def pause(client: PersonClient, name: str, *, namespace: str) -> str:
    """Pauses the service; returns a line for people. Raises `BadInput` and `KubeError`."""
    from medley_operator.api.v1alpha1 import MODE_BEFORE_PAUSE, ActingMode

    service = await read_service(client, name, namespace=namespace)
    mode = service.spec.scaling.mode
    if mode is ActingMode.PAUSED:
        return f"{_shown(service)} is paused already"
    await _write(client, service, ActingMode.PAUSED, {MODE_BEFORE_PAUSE: mode.value})
    return f"{_shown(service)} is paused; its mode was {mode.value}"


async def resume(client: PersonClient, name: str, *, namespace: str, mode: str | None = None) -> str:
    """Sets `mode`, or the one from before the pause. Raises `BadInput` where that is not known, and `KubeError`."""
    from medley_operator.api.v1alpha1 import MODE_BEFORE_PAUSE, ActingMode

    service = await read_service(client, name, namespace=namespace)
    if service.spec.scaling.mode is not ActingMode.PAUSED:
        return f"{_shown(service)} is not paused; its mode is {service.spec.scaling.mode.value}"
    before = mode or service.metadata.annotations.get(MODE_BEFORE_PAUSE, "")
    if before not in [each.value for each in ActingMode if each is not ActingMode.PAUSED]:
        where, way_out = f"LLMService {_shown(service)}", "medley pause did not pause it; give the mode with --mode"
        raise BadOption(where, f"annotation {MODE_BEFORE_PAUSE}", before, way_out)
    await _write(client, service, ActingMode(before), {})
    return f"{_shown(service)} goes on in mode {before}"


async def _write(client: PersonClient, service: LLMService, mode: str, annotations: dict[str, str]) -> None:
    from medley_operator.api.v1alpha1 import API_VERSION

    metadata = service.metadata
    await client.apply(
        {
            "apiVersion": API_VERSION,
            "kind": "LLMService",
            "metadata": {
                "namespace": metadata.namespace,
                "name": metadata.name,
                # With its uid the write never makes an object, nor changes another one of this name.
                "uid": metadata.uid,
                "annotations": annotations,
            },
            "spec": {"scaling": {"mode": str(mode)}},
        },
        field_manager=FIELD_MANAGER,
    )


def _shown(service: LLMService) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"
