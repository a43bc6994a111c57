"""LLMServices of a cluster for commands of people: by the user's kubeconfig, with the user's rights.

What goes wrong becomes one line on standard error: no connection, no right, no such object, an object that does not
parse.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, TypeVar

from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import report_error

if TYPE_CHECKING:
    from pydantic import BaseModel

    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.domain.values.snapshot import Manifest
    from medley_operator.kube.client import PersonClient
    from medley_operator.kube.resources import Resource

Model = TypeVar("Model", bound="BaseModel")
Action = Callable[["PersonClient", str], Awaitable[int]]
"""The work of a command, given a client and the namespace of names without one; returns the exit status."""


def add_service(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """`[-n NAMESPACE] SERVICE`, as kubectl has it: the parsed arguments carry `namespace` and `service`."""
    parser.add_argument(
        "-n", "--namespace", metavar="NAMESPACE", help="namespace; default: that of the kubeconfig's context"
    )
    parser.add_argument(
        "service",
        metavar="SERVICE",
        nargs="?" if optional else None,
        help="name of the LLMService, or NAMESPACE/NAME" + ("; default: all of the namespace" if optional else ""),
    )


def run_with_client(command: str, action: Action, *, namespace: str | None = None) -> int:
    """Connects, runs the action and returns the exit status. `namespace`: None where the user named none."""
    from medley_operator.kube.connect import connect_as_person
    from medley_operator.kube.credentials import context_namespace
    from medley_operator.kube.errors import KubeError

    async def connected() -> int:
        async with AsyncExitStack() as stack:
            client = await connect_as_person(stack)
            return await action(client, namespace or context_namespace())

    try:
        return asyncio.run(connected())
    except BadInput as error:
        return report_error(command, error)
    except KubeError as error:
        return report_error(command, error.message)


async def read_service(client: PersonClient, name: str, *, namespace: str) -> LLMService:
    """The LLMService of that name, NAMESPACE/NAME or NAME. Raises `BadInput` and `KubeError`."""
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.domain.values.snapshot import ObjectKey

    given, _, last = name.rpartition("/")
    key = ObjectKey("LLMService", given or namespace, last)
    manifest = await client.get(key)
    if manifest is None:
        raise BadOption.whole(str(key), 'there is none of this name; "kubectl get llms -A" lists all')
    return parsed(LLMService, manifest)


async def list_services(client: PersonClient, *, namespace: str) -> list[LLMService]:
    """All of the namespace, by name. Raises `BadInput` and `KubeError`."""
    from medley_operator.api.v1alpha1 import LLMService
    from medley_operator.kube.resources import LLM_SERVICES

    found = [parsed(LLMService, item) for item in await list_all(client, LLM_SERVICES, namespace=namespace)]
    return sorted(found, key=lambda service: service.metadata.name)


async def list_all(client: PersonClient, resource: Resource, *, namespace: str = "") -> list[Manifest]:
    """All objects of the kind, in that namespace or in all (""). Raises `KubeError`."""
    async with aclosing(client.pages(resource, namespace=namespace)) as pages:
        return [item async for page in pages for item in page.items]


def parsed(model: type[Model], manifest: Manifest) -> Model:
    """The object. Raises `BadInput` where it does not parse."""
    from medley_operator.domain.values.snapshot import InvalidObject
    from medley_operator.fleet.parse import parse_object

    found = parse_object(model)(manifest)
    if isinstance(found, InvalidObject):
        raise BadOption.whole(str(found.key), found.refusal.message)
    return found
