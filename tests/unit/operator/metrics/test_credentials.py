"""Who we are, and whom we trust: files read anew, and no secret in any message."""

from __future__ import annotations

import base64
import logging
import os
import ssl
from pathlib import Path

import httpx
import pytest

from medley_operator.metrics.credentials import Credentials
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.prometheus import Prometheus, http_client
from tests.unit.operator.metrics.fake_prometheus import NOW, URL, success

SECRET = "eyJhbGciOi.secret-of-ours"  # noqa: S105 - not a real one


def asking(credentials: Credentials, asked: list[httpx.Request], answer: httpx.Response | None = None) -> Prometheus:
    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer or success({"resultType": "scalar", "result": [NOW, "1"]})

    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return Prometheus(base_url=URL, client=client, credentials=credentials)


def written(path: Path, text: str, *, at: int) -> Path:
    path.write_text(text)
    os.utime(path, (at, at))
    return path


async def test_a_token_is_sent_and_read_anew_when_its_file_changes(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []
    file = written(tmp_path / "token", f"{SECRET}\n", at=1)
    prometheus = asking(Credentials(bearer_token_file=file, tenant="team-a"), asked)
    await prometheus.now()
    written(file, "another", at=2)
    await prometheus.now()
    assert [request.headers["Authorization"] for request in asked] == [f"Bearer {SECRET}", "Bearer another"]
    assert asked[0].headers["X-Scope-OrgID"] == "team-a"


async def test_a_user_with_a_password(tmp_path: Path) -> None:
    asked: list[httpx.Request] = []
    file = written(tmp_path / "password", "pass word\n", at=1)
    await asking(Credentials(username="medley", password_file=file), asked).now()
    kind, _, text = asked[0].headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(text)) == ("Basic", b"medley:pass word")


@pytest.mark.parametrize("status", [200, 302, 401, 403, 500])
async def test_no_message_quotes_a_secret_that_the_server_says_back(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = written(tmp_path / "token", SECRET, at=1)
    answer = httpx.Response(status, text=f"you sent Bearer {SECRET}", headers={"Location": f"/login?t={SECRET}"})
    with pytest.raises(PrometheusUnavailableError) as raised:
        await asking(Credentials(bearer_token_file=file), [], answer).now()
    assert SECRET not in str(raised.value)
    assert SECRET not in caplog.text
    if status in (401, 403):
        assert f"check that the token in {file} is valid" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory): check that its Secret"),
        ("", "is empty"),
        ("two\ntokens", "holds more than one token"),
        ("tök", "holds more than one token"),
    ],
)
async def test_a_token_that_cannot_be_sent_is_named_by_its_file(
    tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    prometheus = asking(Credentials(bearer_token_file=file), [])
    for _ in range(2):
        with pytest.raises(PrometheusUnavailableError, match="--prometheus-bearer-token-file") as raised:
            await prometheus.now()
        assert str(file) in str(raised.value)
        assert words in str(raised.value)
        assert not content or content not in str(raised.value)
    file.write_text("good")
    await prometheus.now()


async def test_authorities_are_those_of_the_file_alone_and_a_bad_file_is_named(tmp_path: Path) -> None:
    file = written(tmp_path / "ca.crt", "no certificate", at=1)
    credentials = Credentials(ca_file=file)
    context = credentials.verify
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs() == []
    async with http_client(credentials=credentials) as client:
        prometheus = Prometheus(base_url="https://prometheus.test", client=client, credentials=credentials)
        with pytest.raises(PrometheusUnavailableError, match=r"ca\.crt holds no certificate in PEM form"):
            await prometheus.now()
    assert Credentials().verify is True
