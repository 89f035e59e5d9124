"""S1.10, S1.11, S3.10: logs that are rotated for real, while programs go on writing them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

testinfra_hosts = ["all"]

CONVERGE = yaml.safe_load((Path(__file__).parents[1] / "converge.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = CONVERGE[0]["roles"][0]["vars"]["logrotate_rules"]
API = RULES[0]
# A rule of another play, for a Python app that keeps its file open.
KEEPS_OPEN = {
    "name": "keeps-open",
    "paths": ["/var/log/keeps-open/*.log"],
    "user": "morizo",
    "group": "morizo",
    "copytruncate": True,
    "keep": 2,
    "postrotate": "date >> /run/rotated\ndate >> /run/rotated\n",
}
OTHERS = {"logrotate_set": "python", "logrotate_rules": [KEEPS_OPEN]}

OUT = "/var/log/medical-api/out.log"
MORIZO = "/opt/morizo/Morizo-aiv2/morizo_ai.log"
ACCESS = "/var/log/nginx/access.log"


def rotate(host: Any, rule: str) -> None:
    host.run_expect([0], f"logrotate --force /etc/logrotate.d/{rule}")
    time.sleep(0.3)


def forget_old_files(host: Any, log: str) -> None:
    host.run_expect([0], f"rm -f {log}.*")


def family(host: Any, log: str) -> list[str]:
    """A log and its old files, without their directory."""
    return [Path(path).name for path in host.check_output(f"ls -d {log}*").split()]


def grows(host: Any, path: str) -> bool:
    before = host.file(path).size
    time.sleep(0.4)
    return bool(host.file(path).size > before)


def access(host: Any, path: str) -> tuple[str, str, str]:
    user, group, mode = host.check_output(f"stat -c '%U %G %a' {path}").split()
    return user, group, mode


def test_node_whose_output_is_a_file_writes_on_into_the_cut_file(host: Any) -> None:
    forget_old_files(host, OUT)
    inode = host.check_output(f"stat -c %i {OUT}")
    for _turn in range(2):
        rotate(host, "medical-api")
    assert family(host, OUT) == ["out.log", "out.log.1", "out.log.2.gz"]
    assert host.check_output(f"stat -c %i {OUT}") == inode
    assert grows(host, OUT)
    assert not grows(host, f"{OUT}.1")
    assert host.check_output(f"zcat {OUT}.2.gz | sort -u") == "line"
    assert host.check_output(f"head -c 4 {OUT}") == "line", "no hole where the old content was"
    for path in (f"{OUT}.1", f"{OUT}.2.gz"):
        assert access(host, path)[:2] == ("medical-api", "medical-api")


def test_nginx_writes_on_into_the_new_file(host: Any) -> None:
    forget_old_files(host, ACCESS)
    host.run_expect([0], f"truncate --size=0 {ACCESS}")
    for turn in ("first", "second", "third"):
        host.run_expect([0], f"curl --silent --output /dev/null localhost/{turn}")
        time.sleep(0.1)
        if turn != "third":
            rotate(host, "nginx")
    requests = {"access.log": "third", "access.log.1": "second", "access.log.2.gz": "first"}
    assert family(host, ACCESS) == list(requests)
    for name, turn in requests.items():
        found = host.check_output(f"zcat --force /var/log/nginx/{name} | grep -o 'GET /[a-z]*'")
        assert found == f"GET /{turn}", name
    user, group, mode = access(host, ACCESS)
    assert (group, mode) == ("adm", "640")
    assert user in ("root", "www-data"), "nginx itself gives it to its workers"


def test_nginx_that_does_not_run_is_no_failure(host: Any) -> None:
    host.run_expect([0], "systemctl stop nginx")
    try:
        rotate(host, "nginx")
    finally:
        host.run_expect([0], "systemctl start nginx")


def test_python_that_watches_its_file_writes_on_into_the_new_one(host: Any) -> None:
    forget_old_files(host, MORIZO)
    for _turn in range(2):
        rotate(host, "morizo-aiv2")
    assert family(host, MORIZO) == ["morizo_ai.log", "morizo_ai.log.1", "morizo_ai.log.2.gz"]
    assert grows(host, MORIZO)
    assert not grows(host, f"{MORIZO}.1")
    for path, mode in ((MORIZO, "640"), (f"{MORIZO}.1", "640"), (f"{MORIZO}.2.gz", "640")):
        assert access(host, path) == ("morizo", "morizo", mode)


def test_a_second_set_of_rules_stands_beside_the_first(host: Any, play_role: Any) -> None:
    try:
        played = play_role("logrotate", OTHERS)
        assert played.returncode == 0, played.stdout
        assert host.file("/etc/logrotate.d/medical-api").exists
        assert calendar(host).count("OnCalendar") == 1
        python_that_keeps_its_file_open_writes_on(host)
        checked = host.run("logrotate --debug /etc/logrotate.conf")
        assert checked.rc == 0, checked.stderr
    finally:
        assert play_role("logrotate", {**OTHERS, "logrotate_rules": []}).returncode == 0
    assert not host.file("/etc/logrotate.d/keeps-open").exists, "a rule that is taken from the list"
    assert host.file("/etc/logrotate.d/medical-api").exists, "a rule of another set"
    assert host.file("/etc/logrotate.d/dpkg").exists, "a package's rule"


def python_that_keeps_its_file_open_writes_on(host: Any) -> None:
    log = "/var/log/keeps-open/app.log"
    host.run_expect([0], "rm -f /run/rotated")
    for _turn in range(4):
        rotate(host, "keeps-open")
    assert family(host, log) == ["app.log", "app.log.1", "app.log.2.gz"], "no more old files than asked for"
    assert grows(host, log)
    assert not grows(host, f"{log}.1")
    assert host.check_output("wc -l < /run/rotated") == "8", "all lines of a postrotate run"


def test_a_file_over_its_size_is_rotated_the_next_time_the_timer_looks(host: Any) -> None:
    big, small = "/var/log/medical-api/big.log", "/var/log/medical-api/small.log"
    try:
        # From here on the state file says that these logs were rotated today already.
        host.run_expect([0], f"runuser -u medical-api -- touch {big} {small} && systemctl start logrotate.service")
        host.run_expect([0], f"runuser -u medical-api -- truncate --size=101M {big}")
        host.run_expect([0], f"runuser -u medical-api -- truncate --size=99M {small}")
        host.run_expect([0], "systemctl start logrotate.service")
        assert host.file(f"{big}.1").size == 101 * 1024 * 1024
        assert host.file(big).size == 0
        assert host.file(small).size == 99 * 1024 * 1024, "it waits for its day"
    finally:
        host.run(f"rm -f {big}* {small}*")


def calendar(host: Any) -> str:
    return str(host.check_output("systemctl show --property=TimersCalendar --value logrotate.timer"))


def test_the_timer_looks_every_hour(host: Any) -> None:
    assert host.service("logrotate.timer").is_enabled
    assert host.service("logrotate.timer").is_running
    assert calendar(host).count("OnCalendar") == 1
    assert "OnCalendar=hourly" in calendar(host) or "OnCalendar=*-*-* *:00:00" in calendar(host)


def test_logrotate_finds_nothing_wrong_with_the_whole_configuration(host: Any) -> None:
    checked = host.run("logrotate --debug /etc/logrotate.conf")
    assert checked.rc == 0, checked.stderr
    assert "error:" not in checked.stderr


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([{**API, "max_size": "100Q"}], "unknown unit 'Q'"),
        ([{**API, "user": "nobody-of-that-name"}], "unknown user 'nobody-of-that-name'"),
        ([{**API, "paths": ["/var/log/dpkg.log"]}], "duplicate log entry for /var/log/dpkg.log"),
    ],
    ids=["size", "user", "a package has a rule for the file"],
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
    refused = play_role("logrotate", {"logrotate_rules": RULES, "logrotate_schedule": "now and then"})
    assert refused.returncode != 0
    assert "now and then" in refused.stdout
    assert "OnCalendar=hourly" in host.file("/etc/systemd/system/logrotate.timer.d/logrotate.conf").content_string
