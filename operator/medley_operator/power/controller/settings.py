"""Settings of the controller of power, from flags or from environment variables `MEDLEY_<NAME>`; a flag wins."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.setting_values import (
    LISTENING,
    LOGIN,
    Flag,
    PrometheusSettings,
    add_flags,
    as_matchers,
    as_namespace,
    as_number,
    as_path,
    as_seconds,
    as_url,
    as_whole,
    as_word,
    check,
    election_flags,
    values_of,
)


@dataclass(frozen=True, slots=True)
class PowerSettings(PrometheusSettings):
    """See docs/power.md for each. Matchers are for the query of GPUs: meters' queries are taken as they are."""

    period_seconds: float = 1.0
    cap_lease_seconds: int = 30
    """After this time without a renewal of its caps, a node's agent goes to its safe limits."""
    hook_urls: tuple[str, ...] = ()
    hook_hosts: tuple[str, ...] = ()
    """Hosts that hooks may go to; every host of `hook_urls` must be among them."""
    hook_secret_file: Path | None = None
    namespace: str = ""
    kube_qps: float = 200.0
    kube_burst: int = 400
    leader_election: bool = False
    lease_name: str = "medley-power"
    lease_duration_seconds: int = 6
    lease_renew_deadline_seconds: float = 4.0
    lease_retry_seconds: float = 1.0
    """Shorter than the fleet operator's: the caps of a controller that is gone run out meanwhile."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod is reached by its address; the chart's NetworkPolicy narrows it
    port: int = 8080
    log_level: str = "info"

    @property
    def mode(self) -> ActingMode:
        """Each PowerDomain has a mode of its own, so that the client keeps nothing back."""
        return ActingMode.AUTO

    @property
    def dry_run(self) -> bool:
        """Mode Log of all domains is one."""
        return False

    def __post_init__(self) -> None:
        check(self.prometheus_url is not None, "--prometheus-url", "", "is needed: meters are read there")
        check(
            bool(self.namespace) or not self.leader_election,
            "--leader-election",
            "on",
            "needs --namespace, where the Lease is",
        )
        check(
            self.lease_retry_seconds < self.lease_renew_deadline_seconds < self.lease_duration_seconds,
            "--lease-renew-deadline-seconds",
            self.lease_renew_deadline_seconds,
            f"must lie between --lease-retry-seconds ({self.lease_retry_seconds:g}) and --lease-duration-seconds "
            f"({self.lease_duration_seconds})",
        )
        check(
            not self.hook_urls or self.hook_secret_file is not None,
            "--hook-urls",
            ",".join(self.hook_urls),
            "needs --hook-secret-file, the key of the signature",
        )
        for url in self.hook_urls:
            host = urlsplit(url).hostname or ""
            way_out = f"must go to one of --hook-hosts, and {host} is not among them"
            check(host in self.hook_hosts, "--hook-urls", url, way_out)


def _as_urls(flag: str, text: str) -> tuple[str, ...]:
    urls = [as_url(flag, part.strip()) for part in text.split(",") if part.strip()]
    return tuple(url for url in urls if url is not None)


def _as_hosts(flag: str, text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        holds = re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[?[0-9a-f:]+\]?", host) is not None
        check(holds, flag, text, "must be names or addresses of hosts, with commas, without ports")
    return hosts


FLAGS: dict[str, Flag] = {
    "--prometheus-url": Flag(as_url, "base URL of the Prometheus that scrapes the meters; needed"),
    **LOGIN,
    "--prometheus-ca-file": Flag(
        as_path("/var/run/medley/ca.crt"), "PEM file of the authorities of Prometheus's certificate"
    ),
    "--prometheus-tenant": Flag(as_word, "tenant to ask for, sent as X-Scope-OrgID"),
    "--prometheus-matchers": Flag(
        as_matchers, 'matchers of the query of GPUs, such as cluster="eu-1"; meters have queries of their own'
    ),
    "--period-seconds": Flag(as_seconds(least=0.5, most=10), "seconds from one round to the next (default 1)"),
    "--cap-lease-seconds": Flag(
        as_whole("seconds", least=10, most=600),
        "seconds after which an agent without a renewal goes to the safe limits (default 30)",
    ),
    "--hook-urls": Flag(_as_urls, "addresses, with commas, that level changes and power events are posted to"),
    "--hook-hosts": Flag(_as_hosts, "hosts, with commas, that --hook-urls may name"),
    "--hook-secret-file": Flag(
        as_path("/var/run/medley/hook-key"), "file with the key of the signature of hooks; read anew for each"
    ),
    "--namespace": Flag(as_namespace, "the controller's own namespace, where its Lease is"),
    "--kube-qps": Flag(
        as_number("rate", least=1, most=1000), "reads, and writes, a second to the API server (default 200)"
    ),
    "--kube-burst": Flag(
        as_whole("requests", least=1, most=10000), "reads, and writes, to the API server at once (default 400)"
    ),
    **election_flags("medley-power", duration=6, renew_deadline=4, retry=1),
    **LISTENING,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, FLAGS)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> PowerSettings:
    """Raises `BadSetting`."""
    return PowerSettings(**values_of(FLAGS, arguments, environment))  # type: ignore[arg-type]
