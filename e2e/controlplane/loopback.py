"""HTTP to our own servers on loopback, past any proxy that the environment names."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from e2e.controlplane.errors import CommandFailed


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def answers(url: str) -> bool:
    """Whether a server answers with a good status; its own certificate is not what is asked about."""
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323
    try:
        with _opener(context).open(url, timeout=2) as answer:
            return 200 <= int(answer.status) < 300
    except OSError:
        return False


def request_json(
    method: str, url: str, *, token: str, certificate: Path, body: Any = None, content_type: str = "application/json"
) -> Any:
    """One request to the API server; the parsed answer, or its text where it is not JSON.

    Raises `CommandFailed` with the server's words on an error status, and OSError where no server answers.
    """
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": content_type},
    )
    try:
        with _opener(ssl.create_default_context(cafile=str(certificate))).open(request, timeout=30) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise CommandFailed([method, url], error.code, "", error.read().decode(errors="replace")) from error
    return json.loads(text) if text[:1] in ("{", "[") else text
