"""S1.10, S1.11: what every host has, as its users and its package manager find it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.base.tests.way import scenario
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

testinfra_hosts = ["all"]

UPDATES = "/etc/apt/apt.conf.d/60unattended-upgrades-security"
SWAP = "/var/lib/minato/swap"


def test_the_packages_are_there(host: Any) -> None:
    for package in ("git", "curl"):
        assert host.package(package).is_installed


def test_programs_tell_the_time_of_the_zone(host: Any) -> None:
    assert host.check_output("date +%Z") == "JST"
    assert host.check_output("timedatectl show --property=Timezone --value") == "Asia/Tokyo"
    assert host.check_output("cat /etc/timezone") == "Asia/Tokyo"


def test_people_and_services_get_the_language(host: Any) -> None:
    for user in ("root", "alice"):
        assert host.check_output(f"su --login {user} --command 'locale charmap; date --date=2026-01-01 +%A'") == (
            "UTF-8\n木曜日"
        )


def test_the_host_knows_its_name(host: Any) -> None:
    assert host.check_output("hostname") == host.check_output("cat /etc/hostname") == "medical-1"
    assert host.check_output("getent hosts medical-1"), "sudo and others look it up"


def test_the_journal_stays_below_its_size(host: Any) -> None:
    said = host.check_output("journalctl --unit=systemd-journald --output=cat | grep '^System Journal' | tail -n 1")
    assert re.search(r"max 512(\.0)?M", said), said


def test_the_journal_holds_no_copy_of_the_configuration(host: Any) -> None:
    assert (
        host.run("journalctl --output=cat | grep --fixed-strings 'Unattended-Upgrade::Origins-Pattern {'").stdout == ""
    )


def test_swap_waits_for_a_host_that_may_have_it(host: Any) -> None:
    """In a container nothing more can be seen: its unit is passed over, by the condition that it has."""
    assert (host.file(SWAP).size, host.file(SWAP).mode) == (64 << 20, 0o600)
    assert "swap" in host.check_output(f"blkid --probe --match-tag TYPE --output value {SWAP}")
    unit = "var-lib-minato-swap.swap"
    assert host.check_output(f"systemctl is-enabled {unit}") == "enabled"
    said = host.check_output(f"systemctl show --property=ConditionResult,What,ActiveState {unit}").splitlines()
    assert sorted(said) == ["ActiveState=inactive", "ConditionResult=no", f"What={SWAP}"]


def test_the_kernel_is_told_to_swap_late(host: Any) -> None:
    """The last word on it, of all files that are read at boot."""
    said = host.check_output("/usr/lib/systemd/systemd-sysctl --cat-config | grep ^vm.swappiness | tail -n 1")
    assert said == "vm.swappiness = 10"


def test_time_is_asked_of_the_instance_s_own_network_first(host: Any) -> None:
    said = host.check_output("systemd-analyze cat-config systemd/timesyncd.conf | grep ^NTP=")
    assert re.match(r"NTP=169\.254\.169\.123 0\.debian\.pool\.ntp\.org ", said)
    assert host.service("systemd-timesyncd").is_enabled


def test_security_updates_are_installed_and_no_others(host: Any) -> None:
    """Two packages have an update in a source of the host's; one source's label says that it is Debian's security."""
    said = host.run_expect([0], "unattended-upgrade --dry-run --debug").stdout
    codename = host.system_info.codename
    assert (
        f"Allowed origins are: origin=Debian,codename={codename},label=Debian-Security, "
        f"origin=Debian,codename={codename}-security,label=Debian-Security\n"
    ) in said
    (chosen,) = re.findall(r"^Packages that will be upgraded: (.*)$", said, re.MULTILINE)
    assert "vulnerable" in chosen.split()
    assert "outdated" not in chosen.split()


def test_the_security_origin_is_one_that_this_host_s_sources_have(host: Any) -> None:
    policy = host.check_output("apt-cache policy | grep -A1 security.debian.org")
    assert f"n={host.system_info.codename}-security,l=Debian-Security" in policy


def test_updates_are_looked_for_daily_and_the_cache_is_cleaned_weekly(host: Any) -> None:
    periodic = host.check_output("apt-config dump APT::Periodic").splitlines()
    for setting in ("Update-Package-Lists", "Unattended-Upgrade"):
        assert f'APT::Periodic::{setting} "1";' in periodic
    assert 'APT::Periodic::AutocleanInterval "7";' in periodic
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled
        assert host.service(timer).is_running


def test_a_list_of_origins_with_a_missing_semicolon_changes_nothing(host: Any) -> None:
    before = host.file(UPDATES).content
    refused = run_playbook(Path(__file__).parents[1] / "semicolon.yml")
    assert refused.returncode != 0
    assert "apt does not take origin=Debian," in " ".join(refused.stdout.split())
    assert host.file(UPDATES).content == before


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"base_locale": "ja_XX.UTF-8"}, "/usr/share/i18n/locales/ja_XX"),
        ({"base_ca_certificates": [{"name": "broken", "content": "no certificate"}]}, "broken.crt"),
        ({"base_swap": "half", "base_hostname": "Medical"}, "base_swap is half: write auto, none, or a size"),
    ],
    ids=["locale", "certificate", "what no host could take"],
)
def test_a_setting_that_makes_no_sense_changes_nothing(
    host: Any, play_role: Any, wrong: dict[str, Any], complaint: str
) -> None:
    refused = play_role("base", scenario(**wrong))
    assert refused.returncode != 0
    assert complaint in refused.stdout
    assert "changed=0" in refused.stdout
    assert host.check_output("date +%Z") == "JST"
    assert not host.file("/usr/local/share/ca-certificates/broken.crt").exists


def test_other_settings_and_back(host: Any, play_role: Any) -> None:
    """Whatever reads a setting once only, when it starts, is started again."""
    ask = "curl --silent --show-error --include https://localhost:8443/"
    host.run(
        "systemd-run --unit=server openssl s_server -www -accept 8443 -key /root/server.key -cert /root/server.crt"
    )
    assert "certificate" in host.run_expect([60], f"sleep 1; {ask}").stderr
    cron = host.check_output("systemctl show --property=MainPID --value cron")
    other = scenario(
        base_timezone="Etc/UTC",
        base_locale="C.UTF-8",
        base_swap="none",
        base_security_updates=False,
        base_ca_certificates=[{"name": "db", "content": host.file("/root/server.crt").content_string}],
    )
    try:
        assert play_role("base", other).returncode == 0
        assert host.check_output("date +%Z") == "UTC"
        assert host.check_output("systemctl show --property=MainPID --value cron") != cron
        assert host.check_output("su --login alice --command 'date --date=2026-01-01 +%A'") == "Thursday"
        assert not host.file(SWAP).exists
        assert host.run("systemctl cat var-lib-minato-swap.swap").rc != 0
        assert 'Unattended-Upgrade "0";' in host.check_output("apt-config dump APT::Periodic")
        assert "HTTP/1.0 200" in host.run_expect([0], ask).stdout
        assert (
            host.run("python3 -c \"import urllib.request; urllib.request.urlopen('https://localhost:8443/')\"").rc == 0
        )
    finally:
        assert play_role("base", scenario()).returncode == 0
    assert host.check_output("date +%Z") == "JST"
    assert host.file(SWAP).size == 64 << 20
    assert "certificate" in host.run_expect([60], ask).stderr, "a CA that is taken from the list is trusted no more"
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert int(host.check_output(f"grep -c BEGIN {bundle}")) > 100, "other CAs stay trusted"
