"""Settings of the operator, from flags or from environment variables `MEDLEY_<NAME>`; a flag wins.

Checked once, before anything starts: a value that cannot be used is refused with its flag, the value and the way out.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from medley_planner.bad_input import BadInput
from medley_planner.capacity import DERATES, Derates
from medley_planner.capacity.cache import default_directory

ENVIRONMENT_PREFIX = "MEDLEY_"
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_SECONDS = 86400.0
LEAST_DERATE = 0.1
"""A smaller value is a typing error, such as 0.05 for 0.95, and not a safety margin."""
MAX_NAMESPACE = 63


class BadSetting(BadInput):
    """A setting that cannot be used; `field` is its flag and environment variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See docs/reference.md for each."""

    prometheus_url: str | None = None
    """Base URL of Prometheus; None: every service is planned from its static workload."""
    prometheus_bearer_token_file: Path | None = None
    prometheus_username: str = ""
    prometheus_password_file: Path | None = None
    """Login at Prometheus: a token, or a user with a password. Files are read anew when they change."""
    prometheus_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that may vouch for Prometheus; None: public ones."""
    prometheus_tenant: str = ""
    """Tenant of Mimir, Cortex or Thanos, sent as X-Scope-OrgID."""
    prometheus_matchers: str = ""
    """Matchers of every query, such as cluster="eu-1", where Prometheus has series of other clusters too."""
    gateway_size_metric: str = ""
    """Counter of requests by service and by prompt and generation size (docs/metrics.md); empty: not used."""
    resync_seconds: float = 30.0
    """A round starts at least this often."""
    debounce_idle_seconds: float = 0.2
    debounce_max_seconds: float = 0.6
    """A round starts `idle` after the last event, at most `max` after the first."""
    solve_deadline_seconds: float = 10.0
    """Seconds that the solver may take; its process is killed after twice this time."""
    derate_measured: float = DERATES.measured
    derate_calibrated: float = DERATES.calibrated
    derate_estimated: float = DERATES.estimated
    """Share of a capacity that plans count on, by its provenance."""
    calibration: bool = True
    """Whether step times are learned from the counters of running engines."""
    calibration_window_seconds: float = 60.0
    """Length of one learning window, and the time between windows."""
    namespace: str = ""
    """The operator's own namespace, where it stores its calibration; empty: nothing survives a restart."""
    capacity_cache_dir: Path | None = None
    """Directory for simulated capacity tables; None: nothing is simulated, and capacities come from the closed form."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod is reached by its address; the chart's NetworkPolicy narrows it
    port: int = 8080
    log_level: str = "info"

    @property
    def derates(self) -> Derates:
        return Derates(
            measured=self.derate_measured, calibrated=self.derate_calibrated, estimated=self.derate_estimated
        )

    def __post_init__(self) -> None:
        _check(
            self.debounce_idle_seconds <= self.debounce_max_seconds,
            "--debounce-idle-seconds",
            self.debounce_idle_seconds,
            f"must not exceed --debounce-max-seconds ({self.debounce_max_seconds:g})",
        )
        _check(
            bool(self.prometheus_username) == (self.prometheus_password_file is not None),
            "--prometheus-username",
            self.prometheus_username,
            "must be set together with --prometheus-password-file",
        )
        _check(
            self.prometheus_bearer_token_file is None or not self.prometheus_username,
            "--prometheus-username",
            self.prometheus_username,
            "must not be set together with --prometheus-bearer-token-file",
        )


def _check(holds: bool, flag: str, value: object, way_out: str) -> None:
    if not holds:
        raise BadSetting("", f"{flag} (or {_variable(flag)})", value, way_out)


def _variable(flag: str) -> str:
    return ENVIRONMENT_PREFIX + flag.removeprefix("--").replace("-", "_").upper()


def _number(what: str, *, least: float, most: float) -> Callable[[str, str], float]:
    def parse(flag: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        _check(least <= value <= most, flag, text, f"must be a {what} from {least:g} to {most:g}")
        return value

    return parse


def _seconds(*, least: float, most: float = MAX_SECONDS) -> Callable[[str, str], float]:
    return _number("number of seconds", least=least, most=most)


_share = _number("share", least=LEAST_DERATE, most=1.0)


def _url(flag: str, text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    _check(
        parts.scheme in ("http", "https") and bool(parts.hostname),
        flag,
        text,
        "must be a URL such as http://prometheus.monitoring:9090",
    )
    _check(parts.username is None, flag, f"{parts.scheme}://***@{parts.hostname}", "must not hold a password")
    return text.rstrip("/")


def _metric(flag: str, text: str) -> str:
    way_out = "must be the name of a counter, such as gateway_requests_by_size_total"
    _check(re.fullmatch(r"(?:[a-zA-Z_:][a-zA-Z0-9_:]{0,199})?", text) is not None, flag, text, way_out)
    return text


def _path(example: str) -> Callable[[str, str], Path | None]:
    def parse(flag: str, text: str) -> Path | None:
        if not text:
            return None
        _check(Path(text).is_absolute(), flag, text, f"must be an absolute path, such as {example}, or empty")
        return Path(text)

    return parse


def _matchers(flag: str, text: str) -> str:
    one = r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\.)*"'
    holds = re.fullmatch(rf"({one}(,{one})*)?", text) is not None
    _check(holds, flag, text, 'must be matchers as in a Prometheus query, without braces, such as cluster="eu-1"')
    return text


def _word(flag: str, text: str) -> str:
    _check(
        re.fullmatch(r"[\x21-\x7e]{0,200}", text) is not None, flag, text, "must be at most 200 printable characters"
    )
    return text


def _port(flag: str, text: str) -> int:
    _check(text.isdigit() and 1 <= int(text) <= 65535, flag, text, "must be a port from 1 to 65535")
    return int(text)


def _address(flag: str, text: str) -> str:
    _check(bool(text.strip()), flag, text, "must be an address to listen on, such as 0.0.0.0 or 127.0.0.1")
    return text.strip()


def _switch(flag: str, text: str) -> bool:
    _check(text.lower() in ("on", "off"), flag, text, "must be on or off")
    return text.lower() == "on"


def _namespace(flag: str, text: str) -> str:
    holds = len(text) <= MAX_NAMESPACE and re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?)?", text) is not None
    _check(holds, flag, text, "must be the name of a namespace, such as medley, or empty")
    return text


def _level(flag: str, text: str) -> str:
    _check(text.lower() in LOG_LEVELS, flag, text, f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


@dataclass(frozen=True, slots=True)
class _Flag:
    parse: Callable[[str, str], object]
    help: str


_FLAGS: dict[str, _Flag] = {
    "--prometheus-url": _Flag(
        _url, "base URL of Prometheus; without it, services are planned from their static workloads"
    ),
    "--prometheus-bearer-token-file": _Flag(
        _path("/var/run/medley/token"), "file with the bearer token for Prometheus; read anew when it changes"
    ),
    "--prometheus-username": _Flag(_word, "user for Prometheus (basic authentication)"),
    "--prometheus-password-file": _Flag(
        _path("/var/run/medley/password"), "file with the password of that user; read anew when it changes"
    ),
    "--prometheus-ca-file": _Flag(
        _path("/var/run/medley/ca.crt"),
        "PEM file of the authorities of Prometheus's certificate; without it, public ones",
    ),
    "--prometheus-tenant": _Flag(_word, "tenant to ask for, sent as X-Scope-OrgID"),
    "--prometheus-matchers": _Flag(
        _matchers, 'matchers of every query, such as cluster="eu-1", where Prometheus has series of other clusters too'
    ),
    "--gateway-size-metric": _Flag(
        _metric,
        "counter that splits a gateway's requests by prompt and generation size; without it, sizes come from the "
        "engines",
    ),
    "--resync-seconds": _Flag(_seconds(least=1), "most seconds between rounds (default 30)"),
    "--debounce-idle-seconds": _Flag(
        _seconds(least=0), "seconds from the last event to the start of a round (default 0.2)"
    ),
    "--debounce-max-seconds": _Flag(
        _seconds(least=0), "most seconds from the first event to the start of a round (default 0.6)"
    ),
    "--solve-deadline-seconds": _Flag(
        _seconds(least=0.1),
        "seconds that the solver may take; its process is killed after twice this time (default 10)",
    ),
    "--derate-measured": _Flag(
        _share,
        "share of a measured capacity (ModelProfile) that plans count on; a profile with a larger error lowers its "
        "own (default 0.95)",
    ),
    "--derate-calibrated": _Flag(_share, "share of a calibrated capacity that plans count on (default 0.9)"),
    "--derate-estimated": _Flag(
        _share, "share of a capacity estimated from data sheets that plans count on (default 0.75)"
    ),
    "--calibration": _Flag(
        _switch,
        "on: learn step times from the counters of running engines and plan with them; off: use estimates only "
        "(default on)",
    ),
    "--calibration-window-seconds": _Flag(
        _seconds(least=15, most=600), "seconds of one learning window; must span at least four scrapes (default 60)"
    ),
    "--namespace": _Flag(
        _namespace,
        "the operator's own namespace, where it stores its calibration; without it, nothing survives a restart",
    ),
    "--capacity-cache-dir": _Flag(
        _path("/var/cache/medley"),
        "directory for simulated capacity tables (default: the user's cache directory); empty: nothing is simulated, "
        "and capacities come from the closed form",
    ),
    "--bind-address": _Flag(_address, "address of /metrics, /healthz and /readyz (default 0.0.0.0)"),
    "--port": _Flag(_port, "port of /metrics, /healthz and /readyz (default 8080)"),
    "--log-level": _Flag(_level, f"one of {', '.join(LOG_LEVELS)} (default info)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every flag as plain text: `from_arguments` checks it, so that flags and variables get the same messages."""
    for flag, definition in _FLAGS.items():
        parser.add_argument(flag, metavar="VALUE", help=f"{definition.help}; environment {_variable(flag)}")


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises `BadSetting`."""
    values: dict[str, object] = {"capacity_cache_dir": default_directory(environment)}
    for flag, definition in _FLAGS.items():
        name = flag.removeprefix("--").replace("-", "_")
        text = getattr(arguments, name, None)
        if text is None:
            text = environment.get(_variable(flag))
        if text is not None:
            values[name] = definition.parse(flag, text)
    return Settings(**values)  # type: ignore[arg-type]
