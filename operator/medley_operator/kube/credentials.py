"""Where the credentials come from: the pod's ServiceAccount in a cluster, else the file that $KUBECONFIG names.

Both the client and the watcher log in through this module, so that they are the same user.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, SERVICE_TOKEN_FILENAME

from medley_operator.kube.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials in a form that any HTTP client understands; certificates are paths of files."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    insecure: bool
    scheme: str | None
    token: str | None
    proxy_url: str | None

    def __repr__(self) -> str:
        return f"Connection(server={self.server!r})"


def in_cluster(environment: Mapping[str, str]) -> bool:
    return SERVICE_HOST_ENV_NAME in environment and Path(SERVICE_TOKEN_FILENAME).exists()


async def load_configuration() -> Configuration:
    """A fresh configuration; ServiceAccount tokens in it are read anew each minute.

    Raises `Forbidden` with the way out where there are no credentials or they cannot be read.
    """
    configuration = Configuration()
    if in_cluster(os.environ):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return configuration
    path = os.environ.get("KUBECONFIG", "")
    if not path:
        raise Forbidden(
            "no credentials for a Kubernetes API server: not in a pod, and $KUBECONFIG is not set; "
            "set KUBECONFIG to the path of a kubeconfig file",
            reason="NoCredentials",
        )
    try:
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=path, client_configuration=configuration, persist_config=False
        )
    except (config.ConfigException, OSError, ValueError) as error:
        raise Forbidden(f"cannot read the kubeconfig {path}: {error}", reason="NoCredentials") from error
    return configuration


async def load_connection() -> Connection:
    """The same credentials as plain values. Raises `Forbidden`."""
    configuration = await load_configuration()
    header = await configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _, token = header.strip().rpartition(" ")
    return Connection(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token.strip() or None,
        proxy_url=configuration.proxy,
    )
