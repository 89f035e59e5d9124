"""S1.10, S1.11: what every host has, as its users and its package manager find it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

testinfra_hosts = ["all"]

UPDATES = "/etc/apt/apt.conf.d/60unattended-upgrades-security"


def certificate() -> str:
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "ca.crt").read_text(encoding="utf-8")


def role(**more: Any) -> dict[str, Any]:
    """The scenario's own variables, with others on top."""
    return {
        "base_packages": ["ca-certificates", "cron", "curl", "git"],
        "base_timezone": "Asia/Tokyo",
        "base_ca_certificates": [{"name": "medical-db", "content": certificate()}],
        **more,
    }


def test_the_packages_are_there(host: Any) -> None:
    for package in ("git", "curl"):
        assert host.package(package).is_installed


def test_programs_tell_the_time_of_the_zone(host: Any) -> None:
    assert host.check_output("date +%Z") == "JST"
    assert host.check_output("timedatectl show --property=Timezone --value") == "Asia/Tokyo"
    assert host.check_output("cat /etc/timezone") == "Asia/Tokyo"


def test_cron_keeps_the_time_of_the_zone(host: Any, play_role: Any) -> None:
    """It reads the zone when it starts, so a change must start it again."""
    before = host.check_output("systemctl show --property=MainPID --value cron")
    assert play_role("base", role(base_timezone="Etc/UTC")).returncode == 0
    assert play_role("base", role()).returncode == 0
    assert host.check_output("systemctl show --property=MainPID --value cron") != before
    assert host.check_output("date +%Z") == "JST"


def test_the_journal_stays_below_its_size(host: Any) -> None:
    said = host.check_output("journalctl --unit=systemd-journald --output=cat | grep '^System Journal' | tail -n 1")
    assert re.search(r"max 512(\.0)?M", said), said


def test_a_server_of_the_added_ca_is_trusted_by_every_program(host: Any) -> None:
    assert "HTTP/1.0 200" in host.run_expect([0], "curl --silent --include https://localhost:8443/").stdout
    assert host.run("python3 -c \"import urllib.request; urllib.request.urlopen('https://localhost:8443/')\"").rc == 0


def test_a_ca_that_is_taken_from_the_list_is_trusted_no_more(host: Any, play_role: Any) -> None:
    try:
        assert play_role("base", role(base_ca_certificates=[])).returncode == 0
        assert "certificate" in host.run_expect([60], "curl --silent --show-error https://localhost:8443/").stderr
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        assert int(host.check_output(f"grep -c BEGIN {bundle}")) > 100, "other CAs stay trusted"
    finally:
        assert play_role("base", role()).returncode == 0
    assert host.run("curl --silent https://localhost:8443/").rc == 0


def test_updates_come_from_the_security_origins_and_no_others(host: Any) -> None:
    said = host.run_expect([0], "unattended-upgrade --dry-run --debug").stdout
    origins = next(line for line in said.splitlines() if line.startswith("Allowed origins are:"))
    codename = host.system_info.codename
    assert origins == (
        f"Allowed origins are: origin=Debian,codename={codename},label=Debian-Security, "
        f"origin=Debian,codename={codename}-security,label=Debian-Security"
    )


def test_the_security_origin_is_one_that_this_host_s_sources_have(host: Any) -> None:
    policy = host.check_output("apt-cache policy")
    assert f"n={host.system_info.codename}-security,l=Debian-Security" in policy


def test_updates_are_looked_for_daily_and_the_cache_is_cleaned_weekly(host: Any) -> None:
    periodic = host.check_output("apt-config dump APT::Periodic").splitlines()
    for setting in ("Update-Package-Lists", "Unattended-Upgrade"):
        assert f'APT::Periodic::{setting} "1";' in periodic
    assert 'APT::Periodic::AutocleanInterval "7";' in periodic
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled
        assert host.service(timer).is_running


def test_updates_can_be_switched_off(host: Any, play_role: Any) -> None:
    try:
        assert play_role("base", role(base_security_updates=False)).returncode == 0
        assert 'Unattended-Upgrade "0";' in host.check_output("apt-config dump APT::Periodic")
    finally:
        assert play_role("base", role()).returncode == 0


def test_a_list_of_origins_with_a_missing_semicolon_changes_nothing(host: Any) -> None:
    before = host.file(UPDATES).content
    refused = run_playbook(Path(__file__).parents[1] / "semicolon.yml")
    assert refused.returncode != 0
    assert "apt does not take origin=Debian," in " ".join(refused.stdout.split())
    assert host.file(UPDATES).content == before


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"base_timezone": "Asia/Tokio"}, "/usr/share/zoneinfo/Asia/Tokio"),
        ({"base_journald_max_use": "half"}, "base_journald_max_use is half: write a number of bytes"),
        ({"base_ca_certificates": [{"name": "broken", "content": "no certificate"}]}, "broken.crt"),
    ],
    ids=["time zone", "size of the journal", "certificate"],
)
def test_a_setting_that_makes_no_sense_changes_nothing(
    host: Any, play_role: Any, variables: dict[str, Any], complaint: str
) -> None:
    refused = play_role("base", role(**variables))
    assert refused.returncode != 0
    assert complaint in refused.stdout
    assert host.check_output("date +%Z") == "JST"
    assert not host.file("/usr/local/share/ca-certificates/broken.crt").exists
    assert host.run("curl --silent https://localhost:8443/").rc == 0
