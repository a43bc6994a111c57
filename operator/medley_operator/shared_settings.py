"""Settings that several processes have, and their flags: with the same text, checks and messages, but own defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medley_operator.setting_values import (
    LOG_LEVELS,
    Flag,
    as_address,
    as_level,
    as_matchers,
    as_name,
    as_namespace,
    as_number,
    as_path,
    as_port,
    as_seconds,
    as_switch,
    as_url,
    as_whole,
    as_word,
    check,
)


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """The settings of a process that say which Prometheus it reads, and how."""

    prometheus_url: str | None = None
    prometheus_bearer_token_file: Path | None = None
    prometheus_username: str = ""
    prometheus_password_file: Path | None = None
    """Login at Prometheus: a token, or a user with a password. Files are read anew when they change."""
    prometheus_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that may vouch for Prometheus; None: public ones."""
    prometheus_tenant: str = ""
    """Tenant of Mimir, Cortex or Thanos, sent as X-Scope-OrgID."""
    prometheus_matchers: str = ""
    """Matchers of queries, such as cluster="eu-1", where Prometheus has series of other clusters too."""

    def __post_init__(self) -> None:
        check(
            bool(self.prometheus_username) == (self.prometheus_password_file is not None),
            "--prometheus-username",
            self.prometheus_username,
            "must be set together with --prometheus-password-file",
        )
        check(
            self.prometheus_bearer_token_file is None or not self.prometheus_username,
            "--prometheus-username",
            self.prometheus_username,
            "must not be set together with --prometheus-bearer-token-file",
        )


@dataclass(frozen=True, slots=True)
class ReplicaDefaults:
    """What a process with replicas has where nothing else is given."""

    lease_name: str
    lease_duration_seconds: int
    lease_renew_deadline_seconds: float
    lease_retry_seconds: float
    kube_qps: float
    kube_burst: int


OPERATOR = ReplicaDefaults("medley-operator", 15, 10.0, 2.0, kube_qps=20.0, kube_burst=50)
POWER_CONTROLLER = ReplicaDefaults("medley-power", 6, 4.0, 1.0, kube_qps=200.0, kube_burst=400)
"""Its leases are shorter, since the caps of a controller that is gone run out meanwhile."""


@dataclass(frozen=True, slots=True)
class ReplicaSettings(PrometheusSettings):
    """The settings of a process with replicas, of which one acts."""

    namespace: str = ""
    """The process's own namespace, where its Lease is."""
    leader_election: bool = False
    lease_name: str = OPERATOR.lease_name
    lease_duration_seconds: int = OPERATOR.lease_duration_seconds
    lease_renew_deadline_seconds: float = OPERATOR.lease_renew_deadline_seconds
    lease_retry_seconds: float = OPERATOR.lease_retry_seconds
    """See `fleet.election.LeaseTimes`."""
    kube_qps: float = OPERATOR.kube_qps
    kube_burst: int = OPERATOR.kube_burst
    """Requests a second to the API server, and how many may come at once; for reads and for writes each."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod is reached by its address; the chart's NetworkPolicy narrows it
    port: int = 8080
    log_level: str = "info"

    def __post_init__(self) -> None:
        PrometheusSettings.__post_init__(self)
        check(
            bool(self.namespace) or not self.leader_election,
            "--leader-election",
            "on",
            "needs --namespace, where the Lease is",
        )
        check(
            self.lease_renew_deadline_seconds < self.lease_duration_seconds,
            "--lease-renew-deadline-seconds",
            self.lease_renew_deadline_seconds,
            f"must be shorter than --lease-duration-seconds ({self.lease_duration_seconds})",
        )
        check(
            self.lease_retry_seconds < self.lease_renew_deadline_seconds,
            "--lease-retry-seconds",
            self.lease_retry_seconds,
            f"must be shorter than --lease-renew-deadline-seconds ({self.lease_renew_deadline_seconds:g})",
        )


LISTENING = {
    "--bind-address": Flag(as_address, "address of /metrics, /healthz and /readyz (default 0.0.0.0)"),
    "--port": Flag(as_port, "port of /metrics, /healthz and /readyz (default 8080)"),
    "--log-level": Flag(as_level, f"one of {', '.join(LOG_LEVELS)} (default info)"),
}
"""Flags of every process."""


def prometheus_flags(*, url: str, matchers: str) -> dict[str, Flag]:
    """Flags of a process that reads Prometheus. `url`, `matchers`: what these are for in it, for the help."""
    return {
        "--prometheus-url": Flag(as_url, f"base URL of Prometheus; {url}"),
        "--prometheus-bearer-token-file": Flag(
            as_path("/var/run/medley/token"), "file with the bearer token for Prometheus; read anew when it changes"
        ),
        "--prometheus-username": Flag(as_word, "user for Prometheus (basic authentication)"),
        "--prometheus-password-file": Flag(
            as_path("/var/run/medley/password"), "file with the password of that user; read anew when it changes"
        ),
        "--prometheus-ca-file": Flag(
            as_path("/var/run/medley/ca.crt"),
            "PEM file of the authorities of Prometheus's certificate; without it, public ones",
        ),
        "--prometheus-tenant": Flag(as_word, "tenant to ask for, sent as X-Scope-OrgID"),
        "--prometheus-matchers": Flag(as_matchers, f'matchers of {matchers}, such as cluster="eu-1"'),
    }


def replica_flags(defaults: ReplicaDefaults, *, namespace: str) -> dict[str, Flag]:
    """Flags of a process with replicas. `namespace`: what its own is for, for the help."""
    return {
        "--namespace": Flag(as_namespace, namespace),
        "--kube-qps": Flag(
            as_number("rate", least=1, most=1000),
            f"reads, and writes, a second to the API server (default {defaults.kube_qps:g})",
        ),
        "--kube-burst": Flag(
            as_whole("requests", least=1, most=10000),
            f"reads, and writes, to the API server at once (default {defaults.kube_burst})",
        ),
        "--leader-election": Flag(
            as_switch, "on: act only while holding a Lease in --namespace, so that replicas can stand by (default off)"
        ),
        "--lease-name": Flag(as_name, f"name of that Lease (default {defaults.lease_name})"),
        "--lease-duration-seconds": Flag(
            as_whole("seconds", least=2, most=120),
            f"seconds after which another replica takes over (default {defaults.lease_duration_seconds})",
        ),
        "--lease-renew-deadline-seconds": Flag(
            as_seconds(least=1, most=120),
            f"seconds without renewal after which the leader ends (default {defaults.lease_renew_deadline_seconds:g})",
        ),
        "--lease-retry-seconds": Flag(
            as_seconds(least=0.1, most=60),
            f"seconds between two renewals, or looks of a follower (default {defaults.lease_retry_seconds:g})",
        ),
        **LISTENING,
    }
