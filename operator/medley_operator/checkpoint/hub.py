"""The files of a checkpoint on a hub, by HTTP range requests: nothing is downloaded but texts and headers.

The `httpx.Client` comes from outside (`http_client` makes one). The token goes to the host that the user named and to
no other: hubs redirect downloads to stores of other hosts, whose addresses are signed. An address without TLS gets no
token, and answers are cut at the bytes that were asked for, whatever the server sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from medley_operator.checkpoint.files import MOST_TEXT_BYTES, as_text
from medley_planner.bad_input import BadInput

HUB = "https://huggingface.co"
REQUEST_SECONDS = 30.0
_MOST_REDIRECTS = 5
_ADDRESS = re.compile(r"hf://([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
_PAGE = re.compile(r"/([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/(?:tree|resolve|blob)/([^/]+))?/?")
_MISSING = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def http_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Redirects are followed by `HubFiles`, which looks at where they lead."""
    return httpx.Client(timeout=httpx.Timeout(REQUEST_SECONDS), follow_redirects=False, transport=transport)


def is_address(text: str) -> bool:
    return text.startswith(("hf://", "https://", "http://"))


def folder_of(text: str, *, hub: str = HUB) -> str:
    """The address that names of files are put behind, of `hf://organisation/model[@revision]`, the page of a model on
    `hub`, or any folder that a server has. Raises BadInput."""
    if text.startswith("hf://"):
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise BadInput(
                "", "the address", text, "write hf://organisation/model, or hf://organisation/model@revision"
            )
        return f"{hub}/{found[1]}/resolve/{found[2] or 'main'}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.userinfo or url.query:
        way_out = "give the address of a folder, without user, password or query, such as https://host/models/name"
        raise BadInput.whole("the address", f"it is not one that can be read; {way_out}")
    page = _PAGE.fullmatch(url.path) if url.host == httpx.URL(hub).host else None
    if page is not None:
        return f"{hub}/{page[1]}/resolve/{page[2] or 'main'}"
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class HubFiles:
    """`folder` as `folder_of` gives it. `ends_at`: on `clock`, when reading is given up. `token`: sent to that host
    alone, and only with TLS (or to this machine)."""

    folder: str
    client: httpx.Client
    clock: Callable[[], float]
    ends_at: float
    token: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        return self.folder

    def weight_files(self) -> tuple[str, ...] | None:
        return None

    def beginning(self, name: str, size: int, *, start: int = 0) -> bytes | None:
        return self._read(f"{self.folder}/{name}", size, {"Range": f"bytes={start}-{start + size - 1}"}, start=start)

    def text(self, name: str) -> str | None:
        read = self._read(f"{self.folder}/{name}", MOST_TEXT_BYTES + 1, {})
        return None if read is None else as_text(f"{self.folder}/{name}", read)

    def _read(self, address: str, size: int, headers: dict[str, str], *, start: int = 0) -> bytes | None:
        """At most `size` bytes of the address, from `start` on; None where there is nothing. Raises BadInput."""
        first = url = httpx.URL(address)
        # Nothing is unpacked here: a small answer must not become a large one.
        headers = {**headers, "Accept-Encoding": "identity"}
        for _ in range(_MOST_REDIRECTS + 1):
            if self.clock() > self.ends_at:
                break
            try:
                request = self.client.build_request("GET", url, headers=headers | self._authorisation(first, url))
                answer = self.client.send(request, stream=True)
                try:
                    if answer.is_redirect:
                        url = self._next(url, answer)
                        continue
                    return self._body(first, answer, size, start)
                finally:
                    answer.close()
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise self._bad(first, f"cannot be read ({type(error).__name__}); check address and network") from None
        raise self._bad(first, f"is not read in time, or redirects more than {_MOST_REDIRECTS} times; raise --timeout")

    def _authorisation(self, first: httpx.URL, url: httpx.URL) -> dict[str, str]:
        same = (url.scheme, url.host, url.port) == (first.scheme, first.host, first.port)
        safe = url.scheme == "https" or url.host in _LOCAL_HOSTS
        return {"Authorization": f"Bearer {self.token}"} if self.token and same and safe else {}

    def _next(self, url: httpx.URL, answer: httpx.Response) -> httpx.URL:
        target = url.join(answer.headers.get("location", ""))
        if target.scheme not in ("http", "https") or (url.scheme == "https" and target.scheme != "https"):
            raise self._bad(url, f"redirects to an address of scheme {target.scheme!r:.20}; check the address")
        return target

    def _body(self, first: httpx.URL, answer: httpx.Response, size: int, start: int) -> bytes | None:
        status = answer.status_code
        if status in _MISSING:
            return None
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            way_out = "give your own token by --token-env HF_TOKEN, and accept the model's terms on its page"
            raise self._bad(first, f"is refused (HTTP {status}); {way_out}")
        whole = status == httpx.codes.OK
        if not whole and status != httpx.codes.PARTIAL_CONTENT:
            raise self._bad(first, f"answers HTTP {status}; check the address")
        if whole and start:
            raise self._bad(first, "is sent whole, without range requests; download the checkpoint and give its folder")
        read = bytearray()
        for chunk in answer.iter_raw():
            read += chunk
            if len(read) >= size:
                break
            if self.clock() > self.ends_at:
                raise self._bad(first, "is not read in time; raise --timeout, or download the checkpoint")
        return bytes(read[:size])

    @staticmethod
    def _bad(url: httpx.URL, way_out: str) -> BadInput:
        return BadInput.whole(str(url.copy_with(query=None)), way_out)
