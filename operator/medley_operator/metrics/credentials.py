"""How the operator shows who it is to Prometheus, and whom it takes for Prometheus: files, read anew when they change.

Tokens, passwords and certificates rotate while the operator runs. What is secret stays in here: no message quotes it,
and `hidden` takes it out of what others say.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.shared_settings import PrometheusSettings

MOST_SECRET_BYTES = 64 * 1024
TENANT_HEADER = "X-Scope-OrgID"
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_TOKEN = "--prometheus-bearer-token-file"  # noqa: S105 - the name of a flag
_PASSWORD = "--prometheus-password-file"  # noqa: S105 - the name of a flag
_CA = "--prometheus-ca-file"


@dataclass
class _Watched:
    """A file of one flag, with what it held when it was read last."""

    flag: str
    path: Path
    stamp: tuple[int, int, int] | None = None
    content: str = ""

    def changed(self) -> bool:
        """Whether it had to be read anew. Raises PrometheusUnavailableError where it cannot be."""
        try:
            stat = self.path.stat()
            stamp = stat.st_mtime_ns, stat.st_ino, stat.st_size
            if stamp == self.stamp:
                return False
            if stat.st_size > MOST_SECRET_BYTES and self.flag != _CA:
                raise PrometheusUnavailableError(f"{self.flag} {self.path} has more than {MOST_SECRET_BYTES} bytes")
            self.content = self.path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not text"
            raise PrometheusUnavailableError(
                f"{self.flag} {self.path} cannot be read ({problem}): check that its Secret or ConfigMap exists and "
                "has that key"
            ) from None
        self.stamp = stamp
        return True


@dataclass
class Credentials(httpx.Auth):
    """To be given to each request. All parts may be absent; `tenant` is the tenant of Mimir, Cortex or Thanos."""

    bearer_token_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    tenant: str = ""
    _files: dict[str, _Watched] = field(default_factory=dict, init=False, repr=False)
    _context: ssl.SSLContext | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        given = {_TOKEN: self.bearer_token_file, _PASSWORD: self.password_file, _CA: self.ca_file}
        self._files = {flag: _Watched(flag, path) for flag, path in given.items() if path is not None}
        if self.ca_file is not None:
            # Without any authority yet: the file is loaded before the first request, and it may come later than we do.
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """For the client: the authorities of the CA file alone, or the usual ones."""
        return True if self._context is None else self._context

    @property
    def way_out(self) -> str:
        """The way out where Prometheus refuses us."""
        if self.bearer_token_file is not None:
            return f"check that the token in {self.bearer_token_file} is valid and may query"
        if self.username:
            return f"check the user {self.username} and the password in {self.password_file}, and that it may query"
        return (
            f"give the operator a login with {_TOKEN}, or with --prometheus-username and {_PASSWORD} (Helm: "
            "prometheus.bearerToken, prometheus.basicAuth)"
        )

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers.update(self._headers())
        yield request

    def hidden(self, text: str) -> str:
        """The text without any secret: a server may say back what it was sent."""
        for flag in (_TOKEN, _PASSWORD):
            secret = self._files[flag].content if flag in self._files else ""
            for form in (self._basic(secret), secret) if secret else ():
                text = text.replace(form, "***")
        return text

    def _headers(self) -> dict[str, str]:
        ca, token, password = (self._files.get(flag) for flag in (_CA, _TOKEN, _PASSWORD))
        if ca is not None and self._context is not None and ca.changed():
            self._trust(self._context, ca)
        headers = {TENANT_HEADER: self.tenant} if self.tenant else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {self._secret(token)}"
        elif password is not None:
            headers["Authorization"] = f"Basic {self._basic(self._secret(password))}"
        return headers

    def _basic(self, password: str) -> str:
        return base64.b64encode(f"{self.username}:{password}".encode()).decode()

    @staticmethod
    def _secret(file: _Watched) -> str:
        """Checked here, since a header that cannot be sent would be quoted by whoever refuses it."""
        file.changed()
        if not file.content or (file.flag == _TOKEN and _PRINTABLE.fullmatch(file.content) is None):
            file.stamp = None
            problem = "is empty" if not file.content else "holds more than one token, or what is none"
            raise PrometheusUnavailableError(f"{file.flag} {file.path} {problem}: check the Secret behind it")
        return file.content

    @staticmethod
    def _trust(context: ssl.SSLContext, file: _Watched) -> None:
        try:
            context.load_verify_locations(cadata=file.content)
        except (ssl.SSLError, ValueError):
            file.stamp = None
            raise PrometheusUnavailableError(
                f"{file.flag} {file.path} holds no certificate in PEM form: check the ConfigMap or Secret behind it"
            ) from None


def credentials_of(settings: PrometheusSettings) -> Credentials:
    return Credentials(
        bearer_token_file=settings.prometheus_bearer_token_file,
        username=settings.prometheus_username,
        password_file=settings.prometheus_password_file,
        ca_file=settings.prometheus_ca_file,
        tenant=settings.prometheus_tenant,
    )
