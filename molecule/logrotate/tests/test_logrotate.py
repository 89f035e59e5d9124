"""S1.10, S1.11: logs that are rotated for real, while programs go on writing them."""

from __future__ import annotations

import time
from typing import Any

import pytest

testinfra_hosts = ["all"]

RULE = {
    "name": "medical-api",
    "paths": ["/var/log/medical-api/*.log"],
    "user": "medical-api",
    "group": "medical-api",
    "frequency": "daily",
    "keep": 14,
    "max_size": "100M",
    "copytruncate": True,
    "postrotate": "",
}
REOPENING = {
    "name": "reopening",
    "paths": ["/var/log/reopening/*.log"],
    "user": "medical-api",
    "group": "medical-api",
    "keep": 2,
    "postrotate": "systemctl kill --signal=HUP reopening\ntouch /run/reopened\n",
}


def names(host: Any, directory: str) -> list[str]:
    return sorted(host.check_output(f"ls {directory}").split())


def grows(host: Any, path: str) -> bool:
    before = host.file(path).size
    time.sleep(0.5)
    return bool(host.file(path).size > before)


def test_a_program_that_keeps_its_file_open_writes_on_into_the_cut_file(host: Any) -> None:
    directory = "/var/log/medical-api"
    inode = host.check_output(f"stat -c %i {directory}/out.log")
    for _turn in range(2):
        host.run_expect([0], "logrotate --force /etc/logrotate.d/medical-api")
    assert names(host, directory) == ["out.log", "out.log.1", "out.log.2.gz"]
    assert host.check_output(f"stat -c %i {directory}/out.log") == inode
    assert grows(host, f"{directory}/out.log")
    assert not grows(host, f"{directory}/out.log.1")
    assert host.check_output(f"zcat {directory}/out.log.2.gz | sort -u") == "line"


def test_a_program_that_can_be_told_writes_on_into_the_new_file(host: Any) -> None:
    directory = "/var/log/reopening"
    for _turn in range(2):
        host.run_expect([0], "logrotate --force /etc/logrotate.d/reopening")
        time.sleep(0.3)
    assert host.file("/run/reopened").exists, "all lines of a postrotate run"
    assert names(host, directory) == ["out.log", "out.log.1", "out.log.2.gz"]
    assert grows(host, f"{directory}/out.log")
    assert not grows(host, f"{directory}/out.log.1")


def test_no_more_old_files_stay_than_asked_for(host: Any) -> None:
    for _turn in range(4):
        time.sleep(0.2)
        host.run_expect([0], "logrotate --force /etc/logrotate.d/reopening")
    assert names(host, "/var/log/reopening") == ["out.log", "out.log.1", "out.log.2.gz"]


def test_rotated_files_belong_to_the_app(host: Any) -> None:
    for path in ("/var/log/medical-api/out.log.1", "/var/log/reopening/out.log", "/var/log/reopening/out.log.2.gz"):
        assert (host.file(path).user, host.file(path).group) == ("medical-api", "medical-api")
    assert host.file("/var/log/reopening/out.log").mode == 0o640


def test_a_file_over_its_size_is_rotated_the_next_time_the_timer_looks(host: Any) -> None:
    big = "/var/log/medical-api/big.log"
    # The state file says that this log was rotated today already.
    host.run_expect([0], f"runuser -u medical-api -- touch {big} && systemctl start logrotate.service")
    host.run_expect([0], f"runuser -u medical-api -- truncate --size=101M {big} && systemctl start logrotate.service")
    assert host.file(f"{big}.1").size == 101 * 1024 * 1024
    assert host.file(big).size == 0
    host.run("rm -f /var/log/medical-api/big.log*")


def test_the_timer_looks_every_hour(host: Any) -> None:
    assert host.service("logrotate.timer").is_enabled
    assert host.service("logrotate.timer").is_running
    calendars = host.check_output("systemctl show --property=TimersCalendar --value logrotate.timer")
    assert calendars.count("OnCalendar") == 1
    assert "OnCalendar=hourly" in calendars or "OnCalendar=*-*-* *:00:00" in calendars


def test_logrotate_finds_nothing_wrong_with_the_whole_configuration(host: Any) -> None:
    checked = host.run("logrotate --debug /etc/logrotate.conf")
    assert checked.rc == 0, checked.stderr
    assert "error:" not in checked.stderr


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([{**RULE, "max_size": "100Q"}], "unknown unit 'Q'"),
        ([{**RULE, "user": "nobody-of-that-name"}], "unknown user 'nobody-of-that-name'"),
        ([RULE, {**RULE, "name": "again"}], "duplicate log entry for /var/log/medical-api/"),
    ],
    ids=["size", "user", "two rules for one file"],
)
def test_a_rule_that_logrotate_refuses_changes_nothing(
    host: Any, play_role: Any, rules: list[dict[str, Any]], complaint: str
) -> None:
    before = host.check_output("sha256sum /etc/logrotate.d/*")
    refused = play_role("logrotate", {"logrotate_rules": rules})
    assert refused.returncode != 0
    assert complaint in refused.stdout
    assert host.check_output("sha256sum /etc/logrotate.d/*") == before


def test_a_schedule_that_is_none_changes_nothing(host: Any, play_role: Any) -> None:
    refused = play_role("logrotate", {"logrotate_rules": [RULE, REOPENING], "logrotate_schedule": "now and then"})
    assert refused.returncode != 0
    assert "now and then" in refused.stdout
    assert "OnCalendar=hourly" in host.file("/etc/systemd/system/logrotate.timer.d/schedule.conf").content_string


def test_a_rule_that_is_taken_from_the_list_is_removed_and_others_stay(host: Any, play_role: Any) -> None:
    try:
        assert play_role("logrotate", {"logrotate_rules": [RULE]}).returncode == 0
        assert not host.file("/etc/logrotate.d/reopening").exists
        assert host.file("/etc/logrotate.d/dpkg").exists, "not ours"
    finally:
        assert play_role("logrotate", {"logrotate_rules": [RULE, REOPENING]}).returncode == 0
