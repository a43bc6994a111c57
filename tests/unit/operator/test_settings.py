"""Flags, environment and the messages for values that cannot be used."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.setting_values import BadSetting
from medley_operator.settings import Settings, add_arguments, from_arguments
from medley_planner.capacity import DERATES, Derates
from medley_planner.capacity.cache import default_directory

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"


def parse(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(arguments), environment)


def test_defaults() -> None:
    assert parse() == Settings(capacity_cache_dir=default_directory({}))


def test_a_flag_wins_over_the_environment() -> None:
    chosen = parse(
        "--port", "9090", MEDLEY_PORT="7070", MEDLEY_PROMETHEUS_URL="http://prom:9090/", MEDLEY_LOG_LEVEL="DEBUG"
    )
    assert (chosen.port, chosen.prometheus_url, chosen.log_level) == (9090, "http://prom:9090", "debug")


def test_derating_is_that_of_the_planner_unless_it_is_set() -> None:
    assert parse().derates == DERATES
    chosen = parse("--derate-measured", "0.9", MEDLEY_DERATE_ESTIMATED="0.5")
    assert chosen.derates == Derates(measured=0.9, calibrated=DERATES.calibrated, estimated=0.5)


def test_calibration_is_switched_off_by_a_word() -> None:
    chosen = parse("--calibration", "off", MEDLEY_NAMESPACE="medley-system")
    assert (chosen.calibration, chosen.namespace) == (False, "medley-system")


def test_a_mode_is_read_in_any_case() -> None:
    assert parse("--mode", "advisory").mode is ActingMode.ADVISORY


def test_namespaces_are_given_once_each() -> None:
    assert parse().watch_namespaces == ()
    assert parse("--watch-namespaces", "").watch_namespaces == ()
    assert parse("--watch-namespaces", "b, a,b").watch_namespaces == ("a", "b")


def test_a_dry_run_takes_no_lease_of_one_that_acts() -> None:
    assert not parse().dry_run
    assert parse("--dry-run", "on").dry_run
    with pytest.raises(BadSetting, match="must not be set together with --leader-election"):
        parse("--dry-run", "on", "--leader-election", "on", "--namespace", "medley")


def test_leader_election_needs_a_namespace_only_where_it_is_on() -> None:
    assert not parse().leader_election
    assert parse("--leader-election", "on", "--namespace", "medley-system").leader_election


def test_an_empty_prometheus_url_is_none() -> None:
    assert parse(MEDLEY_PROMETHEUS_URL="").prometheus_url is None


def test_where_simulated_capacities_are_kept() -> None:
    assert parse(XDG_CACHE_HOME="/c").capacity_cache_dir == Path("/c/medley/capacity")
    assert parse(HOME="/home/me").capacity_cache_dir == Path("/home/me/.cache/medley/capacity")
    assert parse(MEDLEY_CAPACITY_CACHE_DIR="/var/cache/medley").capacity_cache_dir == Path("/var/cache/medley")
    assert parse(MEDLEY_CAPACITY_CACHE_DIR="", HOME="/home/me").capacity_cache_dir is None


@pytest.mark.parametrize(
    ("flag", "value", "way_out"),
    [
        ("--prometheus-url", "prometheus:9090", "http://"),
        ("--prometheus-url", "http://user:secret@prometheus:9090", "must not hold a password"),
        ("--gateway-size-metric", 'x{a="b"}', "must be the name of a counter"),
        ("--gateway-size-metric", "sum(x)", "must be the name of a counter"),
        ("--resync-seconds", "0.5", "from 1 to"),
        ("--resync-seconds", "nan", "number of seconds"),
        ("--debounce-idle-seconds", "soon", "number of seconds"),
        ("--debounce-idle-seconds", "2", "must not exceed --debounce-max-seconds"),
        ("--solve-deadline-seconds", "0", "from 0.1"),
        ("--derate-measured", "95", "share from 0.1 to 1"),
        ("--derate-calibrated", "0.05", "share from 0.1 to 1"),
        ("--derate-estimated", "nan", "share from 0.1 to 1"),
        ("--derate-estimated", "most", "share from 0.1 to 1"),
        ("--capacity-cache-dir", "cache", "absolute path"),
        ("--port", "0", "1 to 65535"),
        ("--port", "http", "1 to 65535"),
        ("--bind-address", " ", "127.0.0.1"),
        ("--log-level", "loud", "debug, info, warning, error"),
        ("--calibration", "true", "on or off"),
        ("--calibration-window-seconds", "601", "from 15 to 600"),
        ("--namespace", "Medley", "name of a namespace"),
        ("--worker-memory-mib", "1.5", "whole number of MiB"),
        ("--worker-memory-mib", "²", "whole number of MiB"),
        ("--mode", "auto-pilot", "Auto, Approve, Advisory, Paused"),
        ("--kube-qps", "0", "rate from 1 to 1000"),
        ("--kube-burst", "0", "from 1 to 10000"),
        ("--leader-election", "on", "needs --namespace"),
        ("--dry-run", "yes", "on or off"),
        ("--watch-namespaces", "a,,b", "names of namespaces"),
        ("--watch-namespaces", "a,B", "name of a namespace"),
        ("--leader-election", "yes", "on or off"),
        ("--lease-name", "", "name of an object"),
        ("--lease-duration-seconds", "1", "from 2 to 120"),
        ("--lease-renew-deadline-seconds", "15", "shorter than --lease-duration-seconds (15)"),
        ("--lease-retry-seconds", "10", "shorter than --lease-renew-deadline-seconds (10)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_flag_value_and_way_out(flag: str, value: str, way_out: str) -> None:
    with pytest.raises(BadSetting) as caught:
        parse(flag, value)
    message = str(caught.value)
    assert flag in message
    assert way_out in message
    assert "secret" not in message
    variable = "MEDLEY_" + flag[2:].replace("-", "_").upper()
    with pytest.raises(BadSetting, match=re.escape(variable)):
        parse(**{variable: value})


def test_every_flag_is_in_the_reference() -> None:
    section = REFERENCE.read_text().split("## Settings of the operator")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)`", row)}
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    assert {action.option_strings[0] for action in parser._actions} == documented


def test_a_login_at_prometheus_is_a_token_or_a_user_with_a_password() -> None:
    chosen = parse("--prometheus-username", "medley", "--prometheus-password-file", "/run/password")
    assert (chosen.prometheus_username, chosen.prometheus_password_file) == ("medley", Path("/run/password"))
    with pytest.raises(BadSetting, match="together with --prometheus-password-file"):
        parse("--prometheus-username", "medley")
    with pytest.raises(BadSetting, match="must not be set together with --prometheus-bearer-token-file"):
        parse(
            *("--prometheus-username", "medley", "--prometheus-password-file", "/run/password"),
            *("--prometheus-bearer-token-file", "/run/token"),
        )


@pytest.mark.parametrize("text", ["", 'cluster="eu-1"', 'cluster=~"eu-.+",env!="test"', r'a="b\"c"'])
def test_matchers_are_taken_as_prometheus_writes_them(text: str) -> None:
    assert parse("--prometheus-matchers", text).prometheus_matchers == text


@pytest.mark.parametrize("text", ["cluster=eu", '{cluster="eu"}', 'a="b"} or up{c="d"', 'a="b",', 'a="b\n"'])
def test_matchers_that_would_be_another_query_are_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="without braces"):
        parse("--prometheus-matchers", text)
