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
    Flag,
    add_flags,
    as_metric,
    as_mode,
    as_namespaces,
    as_path,
    as_seconds,
    as_share,
    as_switch,
    as_whole,
    check,
    values_of,
)
from medley_operator.shared_settings import OPERATOR, ReplicaSettings, prometheus_flags, replica_flags
from medley_planner.capacity import DERATES, Derates
from medley_planner.capacity.cache import default_directory


@dataclass(frozen=True, slots=True)
class Settings(ReplicaSettings):
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
    price_list: Path | None = None
    """Prices of instance types that nothing else says (metrics/price_list.py)."""
    ui: bool = False
    """Whether /ui shows the fleet as it is, beside /metrics."""

    @property
    def derates(self) -> Derates:
        return Derates(
            measured=self.derate_measured, calibrated=self.derate_calibrated, estimated=self.derate_estimated
        )

    def __post_init__(self) -> None:
        ReplicaSettings.__post_init__(self)
        check(
            self.debounce_idle_seconds <= self.debounce_max_seconds,
            "--debounce-idle-seconds",
            self.debounce_idle_seconds,
            f"must not exceed --debounce-max-seconds ({self.debounce_max_seconds:g})",
        )
        check(
            not (self.dry_run and self.leader_election),
            "--dry-run",
            "on",
            "must not be set together with --leader-election, since a dry run would take the Lease of one that acts",
        )


FLAGS: dict[str, Flag] = {
    **prometheus_flags(
        url="without it, services are planned from their static workloads",
        matchers="every query, where Prometheus has series of other clusters too",
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
    "--capacity-cache-dir": Flag(
        as_path("/var/cache/medley"),
        "directory for simulated capacity tables (default: the user's cache directory); empty: nothing is simulated, "
        "and capacities come from the closed form",
    ),
    "--price-list": Flag(
        as_path("/etc/medley/prices.csv"),
        "CSV file with prices of instance types, for pools whose price nothing else says; without it there are none",
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
    **replica_flags(
        OPERATOR,
        namespace="the operator's own namespace, where it stores its calibration; without it, nothing survives a "
        "restart",
    ),
    "--ui": Flag(as_switch, "on: serve a read-only page of the fleet at /ui, beside /metrics (default off)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, FLAGS)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises `BadSetting`."""
    given = values_of(FLAGS, arguments, environment)
    values = {"capacity_cache_dir": default_directory(environment)} | given
    return Settings(**values)  # type: ignore[arg-type]
