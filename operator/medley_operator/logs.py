"""Logs as JSON, one event one line on standard error, with the facts of an event as separate fields.

Facts are given as `extra={...}`; none replaces a field that each line has. Nothing here sees a secret: tokens live in
`kube/` and are never logged.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOISY = ("kopf", "aiohttp", "asyncio", "httpx", "httpcore", "kubernetes")
_KOPF_RUNNING = "kopf._core.reactor.running"
"""kopf's logger with a separate level: the level of `kopf` does not reach it."""


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        # What libraries attach to their records is theirs, not a fact of our event.
        if record.name.partition(".")[0] not in _NOISY:
            own = _STANDARD | entry.keys()
            entry |= {name: value for name, value in vars(record).items() if name not in own}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure(level: str) -> None:
    """Set up the root logger. Libraries speak from warning on, unless `level` is debug."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.INFO if level == "debug" else logging.WARNING)
    # It runs in a thread of ours on purpose and warns that it then ignores signals.
    logging.getLogger(_KOPF_RUNNING).setLevel(logging.ERROR)
    logging.captureWarnings(True)


def silence_kopf() -> None:
    """For the end of the process: kopf logs what it cuts off when it is stopped as errors."""
    for name in ("kopf", _KOPF_RUNNING):
        logging.getLogger(name).setLevel(logging.CRITICAL)
