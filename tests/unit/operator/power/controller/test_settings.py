"""Settings of the controller of power: defaults, refusals with the way out, and hooks that must go to named hosts."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from medley_operator.power.controller.settings import PowerSettings, add_arguments, from_arguments
from medley_operator.setting_values import BadSetting

URL = {"MEDLEY_PROMETHEUS_URL": "http://prometheus:9090"}
ELECTION = {"MEDLEY_LEADER_ELECTION": "on", "MEDLEY_NAMESPACE": "medley"}
LOGIN = {"MEDLEY_PROMETHEUS_USERNAME": "reader", "MEDLEY_PROMETHEUS_PASSWORD_FILE": "/password"}
HOOK = {"MEDLEY_HOOK_URLS": "https://facility.example/x", "MEDLEY_HOOK_SECRET_FILE": "/key"}


def read(*words: str, **environment: str) -> PowerSettings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(words), URL | environment)


def test_defaults() -> None:
    settings = read()
    assert (settings.period_seconds, settings.cap_lease_seconds, settings.lease_duration_seconds) == (1.0, 30, 6)
    assert not settings.dry_run
    assert not settings.dynamo_annotations
    assert settings.mode.writes_children


def test_replicas_have_leases_that_outlast_a_change_of_leader() -> None:
    assert read(MEDLEY_CAP_LEASE_SECONDS="18", **ELECTION).leader_election
    assert read(MEDLEY_CAP_LEASE_SECONDS="10").cap_lease_seconds == 10


def test_dynamo_annotations_are_switched_on() -> None:
    assert read("--dynamo-annotations", "on").dynamo_annotations


def test_hooks() -> None:
    settings = read("--hook-hosts", "facility.example,other", **HOOK)
    assert settings.hook_urls == ("https://facility.example/x",)
    assert settings.hook_hosts == ("facility.example", "other")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MEDLEY_PROMETHEUS_URL": ""}, "meters are read there"),
        ({"MEDLEY_LEADER_ELECTION": "on"}, "needs --namespace"),
        ({"MEDLEY_LEASE_RENEW_DEADLINE_SECONDS": "9"}, "must be shorter than --lease-duration-seconds"),
        ({"MEDLEY_CAP_LEASE_SECONDS": "5"}, "from 10 to 600"),
        ({"MEDLEY_CAP_LEASE_SECONDS": "15", **ELECTION}, "must be at least 18 with leader election"),
        ({"MEDLEY_PROMETHEUS_USERNAME": "reader"}, "together with --prometheus-password-file"),
        ({"MEDLEY_PROMETHEUS_PASSWORD_FILE": "/password"}, "together with --prometheus-password-file"),
        ({"MEDLEY_PROMETHEUS_BEARER_TOKEN_FILE": "/token", **LOGIN}, "together with --prometheus-bearer-token-file"),
        (HOOK, "facility.example is not among them"),
        ({"MEDLEY_HOOK_URLS": "https://a/x", "MEDLEY_HOOK_HOSTS": "a"}, "needs --hook-secret-file"),
        (HOOK | {"MEDLEY_HOOK_HOSTS": "https://facility.example"}, "must be names or addresses of hosts"),
        (HOOK | {"MEDLEY_HOOK_URLS": "ftp://facility.example"}, "must be a URL"),
    ],
)
def test_what_cannot_be_used_is_refused(environment: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        read(**environment)
