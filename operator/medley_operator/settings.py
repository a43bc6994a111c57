"""Settings of the operator, from flags or from environment variables `MEDLEY_<NAME>`; a flag wins.

Checked once, before anything starts: a value that cannot be used is refused with its flag, the value and the way out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.setting_values import (
    LISTENING,
    LOGIN,
    Flag,
    PrometheusSettings,
    add_flags,
    as_matchers,
    as_metric,
    as_mode,
    as_namespace,
    as_namespaces,
    as_number,
    as_path,
    as_seconds,
    as_share,
    as_switch,
    as_url,
    as_whole,
    as_word,
    check,
    election_flags,
    values_of,
)
from medley_planner.capacity import DERATES, Derates
from medley_planner.capacity.cache import default_directory


@dataclass(frozen=True, slots=True)
class Settings(PrometheusSettings):
    """See docs/reference.md for each. Without `prometheus_url`, services are planned from their static workloads."""

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
    worker_memory_mib: int = 0
    """Most memory of the planning process; 0: what the container's limit leaves (fleet/memory.py)."""
    mode: ActingMode = ActingMode.AUTO
    """For the whole fleet; the more careful of it and of spec.scaling.mode counts."""
    dry_run: bool = False
    """Nothing is written; the log says what would be."""
    watch_namespaces: tuple[str, ...] = ()
    """Where LLMServices are looked at; none: everywhere."""
    kube_qps: float = 20.0
    kube_burst: int = 50
    """Requests a second to the API server, and how many may come at once; for reads and for writes each."""
    leader_election: bool = False
    lease_name: str = "medley-operator"
    lease_duration_seconds: int = 15
    lease_renew_deadline_seconds: float = 10.0
    lease_retry_seconds: float = 2.0
    """See `fleet.election.LeaseTimes`."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod is reached by its address; the chart's NetworkPolicy narrows it
    port: int = 8080
    log_level: str = "info"

    @property
    def derates(self) -> Derates:
        return Derates(
            measured=self.derate_measured, calibrated=self.derate_calibrated, estimated=self.derate_estimated
        )

    def __post_init__(self) -> None:
        check(
            self.debounce_idle_seconds <= self.debounce_max_seconds,
            "--debounce-idle-seconds",
            self.debounce_idle_seconds,
            f"must not exceed --debounce-max-seconds ({self.debounce_max_seconds:g})",
        )
        check(
            bool(self.namespace) or not self.leader_election,
            "--leader-election",
            "on",
            "needs --namespace, where the Lease is",
        )
        check(
            not (self.dry_run and self.leader_election),
            "--dry-run",
            "on",
            "must not be set together with --leader-election, since a dry run would take the Lease of one that acts",
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


FLAGS: dict[str, Flag] = {
    "--prometheus-url": Flag(
        as_url, "base URL of Prometheus; without it, services are planned from their static workloads"
    ),
    **LOGIN,
    "--prometheus-ca-file": Flag(
        as_path("/var/run/medley/ca.crt"),
        "PEM file of the authorities of Prometheus's certificate; without it, public ones",
    ),
    "--prometheus-tenant": Flag(as_word, "tenant to ask for, sent as X-Scope-OrgID"),
    "--prometheus-matchers": Flag(
        as_matchers,
        'matchers of every query, such as cluster="eu-1", where Prometheus has series of other clusters too',
    ),
    "--gateway-size-metric": Flag(
        as_metric,
        "counter that splits a gateway's requests by prompt and generation size; without it, sizes come from the "
        "engines",
    ),
    "--resync-seconds": Flag(as_seconds(least=1), "most seconds between rounds (default 30)"),
    "--debounce-idle-seconds": Flag(
        as_seconds(least=0), "seconds from the last event to the start of a round (default 0.2)"
    ),
    "--debounce-max-seconds": Flag(
        as_seconds(least=0), "most seconds from the first event to the start of a round (default 0.6)"
    ),
    "--solve-deadline-seconds": Flag(
        as_seconds(least=0.1),
        "seconds that the solver may take; its process is killed after twice this time (default 10)",
    ),
    "--derate-measured": Flag(
        as_share,
        "share of a measured capacity (ModelProfile) that plans count on; a profile with a larger error lowers its "
        "own (default 0.95)",
    ),
    "--derate-calibrated": Flag(as_share, "share of a calibrated capacity that plans count on (default 0.9)"),
    "--derate-estimated": Flag(
        as_share, "share of a capacity estimated from data sheets that plans count on (default 0.75)"
    ),
    "--calibration": Flag(
        as_switch,
        "on: learn step times from the counters of running engines and plan with them; off: use estimates only "
        "(default on)",
    ),
    "--calibration-window-seconds": Flag(
        as_seconds(least=15, most=600), "seconds of one learning window; must span at least four scrapes (default 60)"
    ),
    "--namespace": Flag(
        as_namespace,
        "the operator's own namespace, where it stores its calibration; without it, nothing survives a restart",
    ),
    "--capacity-cache-dir": Flag(
        as_path("/var/cache/medley"),
        "directory for simulated capacity tables (default: the user's cache directory); empty: nothing is simulated, "
        "and capacities come from the closed form",
    ),
    "--worker-memory-mib": Flag(
        as_whole("MiB", least=0, most=1048576),
        "most memory of the planning process in MiB (default 0: what the container's memory limit leaves, else 4096)",
    ),
    "--mode": Flag(
        as_mode,
        "for all services, where spec.scaling.mode is not more careful. Auto: act on plans; Approve: new plans wait "
        'for "medley approve"; Advisory: only show plans; Paused: make no plan (default Auto)',
    ),
    "--dry-run": Flag(as_switch, "on: write nothing, and log what would be written (default off)"),
    "--watch-namespaces": Flag(
        as_namespaces, "namespaces, with commas, in which alone anything is looked at and written (default: all)"
    ),
    "--kube-qps": Flag(
        as_number("rate", least=1, most=1000), "reads, and writes, a second to the API server (default 20)"
    ),
    "--kube-burst": Flag(
        as_whole("requests", least=1, most=10000), "reads, and writes, to the API server at once (default 50)"
    ),
    **election_flags("medley-operator", duration=15, renew_deadline=10, retry=2),
    **LISTENING,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, FLAGS)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises `BadSetting`."""
    given = values_of(FLAGS, arguments, environment)
    values = {"capacity_cache_dir": default_directory(environment)} | given
    return Settings(**values)  # type: ignore[arg-type]
