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

DEFAULT_KUBECONFIG = Path("~/.kube/config")
"""Only for commands of people: an operator acts on no cluster that nobody named."""
DEFAULT_NAMESPACE = "default"


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


def person_kubeconfig() -> str:
    """The file of a person's commands, as kubectl finds it; "" where there is none."""
    named = os.environ.get("KUBECONFIG", "")
    return named or (str(DEFAULT_KUBECONFIG.expanduser()) if DEFAULT_KUBECONFIG.expanduser().is_file() else "")


def context_namespace() -> str:
    """The namespace of that file's current context, as kubectl takes it."""
    path = person_kubeconfig()
    if in_cluster(os.environ) or not path:
        return DEFAULT_NAMESPACE
    try:
        _, active = config.list_kube_config_contexts(config_file=path)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError, ValueError):
        return DEFAULT_NAMESPACE  # to log in says what is wrong with the file
    return str(active["context"].get("namespace") or DEFAULT_NAMESPACE)


async def load_configuration(kubeconfig: str = "") -> Configuration:
    """A fresh configuration; ServiceAccount tokens in it are read anew each minute. `kubeconfig` "": $KUBECONFIG.

    Raises `Forbidden` with the way out where there are no credentials or they cannot be read.
    """
    configuration = Configuration()
    if in_cluster(os.environ):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return configuration
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
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


async def load_connection(kubeconfig: str = "") -> Connection:
    """The same credentials as plain values. Raises `Forbidden`."""
    configuration = await load_configuration(kubeconfig)
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
