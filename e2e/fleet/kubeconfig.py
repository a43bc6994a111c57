"""An HTTP client for the API server that a kubeconfig names: server, authority and token of its current context."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import httpx
import yaml

REQUEST_SECONDS = 10.0


def client_of(kubeconfig: Path) -> httpx.AsyncClient:
    """A client with the server as its base URL. Raises `ValueError` where the file lacks what is needed."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config, "contexts", config.get("current-context"), kubeconfig)["context"]
    cluster = _named(config, "clusters", context.get("cluster"), kubeconfig)["cluster"]
    user = _named(config, "users", context.get("user"), kubeconfig)["user"]
    token = user.get("token")
    if not token:
        raise ValueError(
            f"{kubeconfig}: user {context.get('user')!r} has no token; use a kubeconfig with a bearer token"
        )
    return httpx.AsyncClient(
        base_url=cluster["server"],
        headers={"Authorization": f"Bearer {token}"},
        verify=_trust(cluster),
        timeout=REQUEST_SECONDS,
        trust_env=False,
    )


def _trust(cluster: dict[str, Any]) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    if data:
        return ssl.create_default_context(cadata=base64.b64decode(data).decode())
    return ssl.create_default_context(cafile=cluster.get("certificate-authority"))


def _named(config: dict[str, Any], group: str, name: str | None, path: Path) -> dict[str, Any]:
    for entry in config.get(group) or []:
        if entry.get("name") == name:
            found: dict[str, Any] = entry
            return found
    raise ValueError(f"{path}: no entry {name!r} in {group}")
