"""Settings of the controller of power, from flags or from environment variables `MEDLEY_<NAME>`; a flag wins."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.domain.power.limits import RENEW_SHARES
from medley_operator.setting_values import (
    Flag,
    add_flags,
    as_path,
    as_seconds,
    as_switch,
    as_url,
    as_whole,
    check,
    values_of,
)
from medley_operator.shared_settings import POWER_CONTROLLER, ReplicaSettings, prometheus_flags, replica_flags


@dataclass(frozen=True, slots=True)
class PowerSettings(ReplicaSettings):
    """See docs/power.md for each. Matchers are for the query of GPUs: meters' queries are taken as they are."""

    period_seconds: float = 1.0
    cap_lease_seconds: int = 30
    """After this time without a renewal of its caps, a node's agent goes to its safe limits."""
    hook_urls: tuple[str, ...] = ()
    hook_hosts: tuple[str, ...] = ()
    """Hosts that hooks may go to; every host of `hook_urls` must be among them."""
    hook_secret_file: Path | None = None
    dynamo_annotations: bool = False
    """Whether pods of LLMServices get Dynamo's annotation with the watts that their GPUs are held to."""
    lease_name: str = POWER_CONTROLLER.lease_name
    lease_duration_seconds: int = POWER_CONTROLLER.lease_duration_seconds
    lease_renew_deadline_seconds: float = POWER_CONTROLLER.lease_renew_deadline_seconds
    lease_retry_seconds: float = POWER_CONTROLLER.lease_retry_seconds
    kube_qps: float = POWER_CONTROLLER.kube_qps
    kube_burst: int = POWER_CONTROLLER.kube_burst

    @property
    def mode(self) -> ActingMode:
        """Each PowerDomain has a mode of its own, so that the client keeps nothing back."""
        return ActingMode.AUTO

    @property
    def dry_run(self) -> bool:
        """Mode Log of all domains is one."""
        return False

    def __post_init__(self) -> None:
        ReplicaSettings.__post_init__(self)
        check(self.prometheus_url is not None, "--prometheus-url", "", "is needed: meters are read there")
        takeover = self.lease_duration_seconds + 2 * self.lease_retry_seconds + self.period_seconds
        least = math.ceil(takeover / (1.0 - max(RENEW_SHARES)))
        check(
            not self.leader_election or self.cap_lease_seconds >= least,
            "--cap-lease-seconds",
            self.cap_lease_seconds,
            f"must be at least {least} with leader election: a lease is renewed when half of it is over, and a standby "
            f"may take {takeover:g} s to act, so that agents would go to their safe limits at each change of leader",
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
    **prometheus_flags(
        url="needed, since it scrapes the meters",
        matchers="the query of GPUs; meters have queries of their own",
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
    "--dynamo-annotations": Flag(
        as_switch,
        "on: write dynamo.nvidia.com/gpu-power-limit on the pods of LLMServices, for Dynamo's own agent (default off)",
    ),
    **replica_flags(POWER_CONTROLLER, namespace="the controller's own namespace, where its Lease is"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, FLAGS)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> PowerSettings:
    """Raises `BadSetting`."""
    return PowerSettings(**values_of(FLAGS, arguments, environment))  # type: ignore[arg-type]
