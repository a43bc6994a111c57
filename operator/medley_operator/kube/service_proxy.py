"""HTTP to a Service of the cluster from outside of it: through the API server, with the rights of the user's login.

Needs the right to get services/proxy. Apart: only commands of people go this way, an operator reaches Services by their
own names.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from medley_operator.kube.credentials import Connection, load_connection, person_kubeconfig

TIMEOUT_SECONDS = 10.0


@asynccontextmanager
async def service_proxy(namespace: str, name: str, port: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client, and the address of the Service for it. Raises `Forbidden` where there is no login.

    `port` is the name or the number of one of the Service's ports.
    """
    connection = await load_connection(person_kubeconfig())
    address = f"{connection.server.rstrip('/')}/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy"
    headers = {"Authorization": f"{connection.scheme or 'Bearer'} {connection.token}"} if connection.token else {}
    async with httpx.AsyncClient(
        headers=headers,
        verify=_context(connection),
        trust_env=False,
        follow_redirects=False,
        timeout=TIMEOUT_SECONDS,
        proxy=connection.proxy_url or None,
    ) as client:
        yield client, address


def _context(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=connection.ca_path)
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if connection.certificate_path:
        context.load_cert_chain(connection.certificate_path, connection.private_key_path)
    return context
