"""The admin's view of the real API server in contract tests: status and answer of each request, one connection."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from typing import Any

import httpx
import yaml

from e2e.controlplane import ControlPlane

Json = dict[str, Any]


class Api:
    """`plane` as its admin sees it; errors of the API server are answers here, not exceptions."""

    def __init__(self, plane: ControlPlane) -> None:
        config = yaml.safe_load(plane.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.kubectl = plane.kubectl
        self.helm = plane.helm
        self._client = httpx.Client(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {user['token']}"},
            verify=ssl.create_default_context(cadata=authority),
            trust_env=False,
            timeout=30,
        )

    def close(self) -> None:
        self._client.close()

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Json]:
        """(HTTP status, answer) of one request."""
        answer = self._client.request(method, path, json=body)
        return answer.status_code, answer.json()

    def apply(self, path: str, body: Mapping[str, Any]) -> tuple[int, Json]:
        """(HTTP status, answer) of a server-side apply; `path` carries the field manager."""
        return self._patch(path, body, "application/apply-patch+yaml")

    def merge(self, path: str, body: Mapping[str, Any]) -> tuple[int, Json]:
        """(HTTP status, answer) of a merge patch."""
        return self._patch(path, body, "application/merge-patch+json")

    def _patch(self, path: str, body: Mapping[str, Any], content_type: str) -> tuple[int, Json]:
        headers = {"Content-Type": content_type}
        answer = self._client.request("PATCH", path, json=body, headers=headers)
        return answer.status_code, answer.json()
