"""How the Envoy of a Gateway is started, from the pod that Envoy Gateway made for it. Pure.

The pod runs nowhere, so its arguments and its bootstrap are read from it and started as a process. What differs is
where files lie, where Envoy Gateway listens, and two ports that Envoy Gateway takes itself on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.gateway.errors import GatewayError

CONTAINER = "envoy"
_XDS_HOST = "envoy-gateway.envoy-gateway-system.svc.cluster.local."
_ZONE = "$(ENVOY_SERVICE_ZONE)"
_POD = "$(ENVOY_POD_NAME)"
_TAKEN_PORTS = {"port_value: 19000": "port_value: 29000", "port_value: 19001": "port_value: 29001"}
_SECRETS_IN_POD = "/certs/"
_SDS_IN_POD = "/sds/"


class UnknownPod(GatewayError):
    """The pod is not as Envoy Gateway of the version that is pinned makes it; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class EnvoyStart:
    """Arguments but for the executable, and the files that they name."""

    arguments: tuple[str, ...]
    files: Mapping[Path, str]


def envoy_start(
    pod: Mapping[str, Any], *, secrets: Mapping[str, str], sds: Mapping[str, str], home: Path
) -> EnvoyStart:
    """`secrets`: files of the Secret that the pod mounts at /certs, `sds` those of the ConfigMap at /sds; `home` is
    where they go. Raises `UnknownPod`."""
    container = next((each for each in pod["spec"]["containers"] if each["name"] == CONTAINER), None)
    if container is None:
        raise UnknownPod(f"pod {pod['metadata']['name']} has no container {CONTAINER!r}")
    arguments = [argument.replace(_POD, pod["metadata"]["name"]) for argument in container["args"]]
    try:
        at = arguments.index("--config-yaml")
        text = arguments[at + 1]
    except (ValueError, IndexError) as error:
        raise UnknownPod(f"pod {pod['metadata']['name']}: its container has no argument --config-yaml") from error
    bootstrap = home / "bootstrap.yaml"
    arguments[at : at + 2] = ["--config-path", str(bootstrap)]
    files = {home / "certs" / name: content for name, content in secrets.items()}
    files |= {home / "sds" / name: _moved(content, _SECRETS_IN_POD, home / "certs") for name, content in sds.items()}
    files[bootstrap] = _bootstrap(text, home)
    return EnvoyStart(tuple(arguments), files)


def _bootstrap(text: str, home: Path) -> str:
    text = _replaced(text, {_XDS_HOST: "127.0.0.1", _ZONE: "here", **_TAKEN_PORTS})
    return _moved(text, _SDS_IN_POD, home / "sds")


def _moved(text: str, before: str, after: Path) -> str:
    return _replaced(text, {before: f"{after}/"})


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for before, after in words.items():
        if before not in text:
            raise UnknownPod(f"{before!r} is not in {text[:200]!r}...")
        text = text.replace(before, after)
    return text
