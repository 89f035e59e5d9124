"""S2.4: a cache for one host, seen by its clients and by those who should be none.

The tests share one host; each leaves it as the scenario's converge made it, or runs the role itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

testinfra_hosts = ["all"]

CONTAINER = "minato-redis"
PLAY = yaml.safe_load((Path(__file__).parents[1] / "converge.yml").read_text(encoding="utf-8"))[0]
PASSWORD = PLAY["vars"]["vault_redis_password"]
INPUT = {**PLAY["roles"][0]["vars"], "redis_password": PASSWORD}
CAP = 16 << 20

CONFIG = "/etc/redis/managed.conf"
ACL = "/etc/redis/users.acl"
UNIT = "redis-server.service"


def cli(host: Any, command: str, password: str = PASSWORD, options: str = "") -> str:
    """What Redis answers to a client of the host."""
    auth = f"REDISCLI_AUTH={password} " if password else ""
    return str(host.run(f"{auth}redis-cli {options} {command} 2>&1").stdout).strip()


def info(host: Any, name: str) -> str:
    found = re.search(rf"^{name}:(.*?)\r?$", cli(host, "INFO"), re.MULTILINE)
    assert found, name
    return found.group(1)


def setting(host: Any, name: str, password: str = PASSWORD) -> str:
    """A setting of the server that runs."""
    return cli(host, f"CONFIG GET {name}", password).removeprefix(name).strip()


def restart(host: Any) -> None:
    host.run_expect([0], f"systemctl reset-failed {UNIT}; systemctl restart {UNIT}")


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    assert found, output
    return int(found.group(1))


def well(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def put_back(play_role: Any) -> Iterator[None]:
    """The scenario's own input again after the test."""
    yield
    well(play_role("redis", INPUT))


def test_it_answers_on_loopback_and_nowhere_else(host: Any) -> None:
    assert cli(host, "PING") == "PONG"
    networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.run(
        ["docker", "inspect", "--format", networks, CONTAINER], check=True, capture_output=True, text=True
    ).stdout.strip()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 6379), 5)
    listening = host.check_output("ss --listening --numeric --tcp --no-header").splitlines()
    assert [line.split()[3] for line in listening if ":6379" in line] == ["127.0.0.1:6379"]


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD[:-1]], ids=["none", "a wrong one", "nearly the right one"])
def test_it_serves_nobody_who_does_not_know_the_password(host: Any, password: str) -> None:
    assert "NOAUTH" in cli(host, "GET answer", password)


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS '*'",
        "SHUTDOWN NOSAVE",
        "CONFIG SET maxmemory 0",
        "CONFIG REWRITE",
        "ACL LIST",
        "CLUSTER RESET",
        "MODULE LIST",
        "REPLICAOF 192.0.2.1 6379",
        "SAVE",
        "MONITOR",
        "SLOWLOG GET",
        "CLIENT KILL TYPE normal",
    ],
)
def test_an_app_cannot_do_what_hurts_the_others(host: Any, command: str) -> None:
    assert "NOPERM" in cli(host, command)


def test_an_app_can_do_all_that_it_needs(host: Any) -> None:
    assert cli(host, "SET greeting hello EX 60") == "OK"
    assert cli(host, "GET greeting") == "hello"
    assert cli(host, "EVAL \"return redis.call('GET', KEYS[1])\" 1 greeting") == "hello"
    assert cli(host, "PUBLISH news hello") == "0"
    assert "greeting" in cli(host, "SCAN 0 MATCH 'greet*' COUNT 1000")
    assert cli(host, "CLIENT SETNAME api") == "OK"
    assert info(host, "maxmemory_policy") == "allkeys-lru"


def test_what_runs_is_what_was_asked_for(host: Any) -> None:
    assert setting(host, "maxmemory") == str(CAP)
    assert setting(host, "maxclients") == "500"
    assert setting(host, "timeout") == "300"
    assert setting(host, "save") == ""
    assert setting(host, "protected-mode") == "yes"
    assert host.service(UNIT).is_enabled
    assert info(host, "config_file") == CONFIG


def test_the_service_may_take_a_quarter_more_than_the_data(host: Any) -> None:
    """By file: containers on this kind of host do not enforce it."""
    shown = host.check_output(f"systemctl show --property=MemoryMax,OOMScoreAdjust {UNIT}")
    assert f"MemoryMax={CAP * 5 // 4 + (48 << 20)}" in shown
    assert "OOMScoreAdjust=500" in shown


def test_at_the_cap_the_least_used_keys_make_room_and_writing_goes_on(host: Any) -> None:
    """Three times as much as fits, over some seconds, as Redis counts in those. One key is asked for all the time."""
    before = int(info(host, "evicted_keys"))
    cli(host, "SET hot yes")
    pair = 'printf "SET cold:%d %s\\nGET hot\\n", i, x; if (i % 1250 == 1249) { fflush(); system("sleep 1.1") }'
    fill = f'BEGIN {{ x = sprintf("%5000s", ""); gsub(" ", "xx", x); for (i = 0; i < 5000; i++) {{ {pair} }} }}'
    others = "grep --invert-match -e OK -e yes | sort | uniq --count"
    host.run_expect([0], f"awk '{fill}' | REDISCLI_AUTH={PASSWORD} redis-cli | {others} > /tmp/others")
    assert host.file("/tmp/others").content_string.strip() == ""
    assert int(info(host, "evicted_keys")) - before > 2500
    assert int(info(host, "used_memory")) <= CAP * 1.05
    assert cli(host, "EXISTS cold:4999") == "1"
    assert cli(host, "EXISTS cold:0") == "0"
    assert cli(host, "GET hot") == "yes"


def test_files_with_the_password_hold_its_hash_and_are_private(host: Any) -> None:
    for path in (CONFIG, ACL):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "redis", 0o640)
    assert hashlib.sha256(PASSWORD.encode()).hexdigest() in host.file(ACL).content_string
    found = host.run(f"grep --recursive --files-with-matches --fixed-strings {PASSWORD} /etc /var /run /root /tmp")
    assert found.stdout == ""
    assert host.run(f"runuser -u nobody -- cat {ACL}").rc != 0


def test_it_is_back_after_a_kill_and_a_reboot_with_its_password_and_without_old_data(host: Any) -> None:
    cli(host, "SET old data")
    host.run_expect([0], f"systemctl kill --signal=KILL {UNIT}")
    deadline = time.monotonic() + 15
    while cli(host, "PING") != "PONG":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert cli(host, "EXISTS old") == "0"

    cli(host, "SET old data")
    subprocess.run(["docker", "restart", CONTAINER], check=True, capture_output=True)
    host.run_expect([0], f"for i in $(seq 100); do systemctl is-active {UNIT} && break; sleep 0.1; done")
    assert cli(host, "EXISTS old") == "0"
    assert "NOAUTH" in cli(host, "PING", "")


def test_a_run_changes_nothing_after_all_that(host: Any, play_role: Any) -> None:
    before = info(host, "process_id")
    assert changed(well(play_role("redis", INPUT))) == 0
    assert info(host, "process_id") == before


@pytest.mark.parametrize("path", [CONFIG, ACL, f"/etc/systemd/system/{UNIT}.d/managed.conf"])
def test_what_is_edited_by_hand_is_put_back_and_loaded(host: Any, play_role: Any, path: str) -> None:
    before = host.file(path).content
    edits = {CONFIG: "s/^maxmemory .*/maxmemory 0/", ACL: "s/^user.*/user default on nopass ~* +@all/"}
    host.run_expect([0], f"sed -i '{edits.get(path, 's/^MemoryMax.*//')}' {path}; systemctl daemon-reload")
    restart(host)
    assert changed(well(play_role("redis", INPUT))) == 1
    assert host.file(path).content == before
    assert setting(host, "maxmemory") == str(CAP)
    assert "NOAUTH" in cli(host, "PING", "")


def test_a_server_that_somebody_stopped_or_started_otherwise_is_noticed(host: Any, play_role: Any) -> None:
    """The files are right; what runs is not."""
    host.run_expect([0], f"systemctl disable --now {UNIT}")
    foretold = play_role("redis", INPUT, "--check", "--diff")
    assert changed(well(foretold)) == 1
    assert "unit's ActiveState: inactive" in foretold.stdout
    assert changed(well(play_role("redis", INPUT))) == 1
    assert host.service(UNIT).is_enabled
    assert cli(host, "PING") == "PONG"

    other = f"/etc/systemd/system/{UNIT}.d/zz-other.conf"
    command = "/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd --daemonize no"
    lines = f"[Service]\\nExecStart=\\nExecStart={command}\\n"
    host.run_expect([0], f"printf '{lines}' > {other}; systemctl daemon-reload")
    try:
        restart(host)
        assert cli(host, "PING", "") == "PONG"
        refused = play_role("redis", INPUT)
        assert refused.returncode != 0
        assert "without a password is served, wanted is refused" in refused.stdout
        assert "which file the unit starts it with" in refused.stdout
    finally:
        host.run_expect([0], f"rm {other}; systemctl daemon-reload")
    assert changed(well(play_role("redis", INPUT))) == 1
    assert "NOAUTH" in cli(host, "PING", "")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"redis_settings": {"timeout": "soon"}}, "timeout soon"),
        ({"redis_settings": {"no-such-setting": 1}}, "no-such-setting"),
        ({"redis_allow": ["nosuchcommand"]}, "nosuchcommand"),
    ],
    ids=["a wrong value", "an unknown setting", "an unknown command"],
)
def test_a_bad_configuration_changes_nothing_and_its_line_is_shown(
    host: Any, play_role: Any, wrong: dict[str, Any], complaint: str
) -> None:
    files = host.check_output(f"sha256sum {CONFIG} {ACL}")
    pid = info(host, "process_id")
    refused = play_role("redis", {**INPUT, **wrong})
    assert refused.returncode != 0
    assert "nothing was changed" in refused.stdout
    assert complaint in refused.stdout
    assert host.check_output(f"sha256sum {CONFIG} {ACL}") == files
    assert info(host, "process_id") == pid
    assert host.run("pgrep --full '[r]edis-server.*socket'").stdout == ""
    assert PASSWORD not in refused.stdout


def test_what_only_the_start_shows_brings_the_old_configuration_back(host: Any, play_role: Any) -> None:
    """A port that another program has: no check of a file finds that."""
    host.run_expect([0], "systemd-run --quiet --unit=squatter python3 -m http.server --bind 127.0.0.1 6380")
    host.run_expect([0], "timeout 60 bash -c 'until ss -ltn | grep -q :6380; do sleep 0.1; done'")
    try:
        refused = play_role("redis", {**INPUT, "redis_port": 6380})
        assert refused.returncode != 0
        assert "Address already in use" in refused.stdout
        assert cli(host, "PING") == "PONG"
        assert setting(host, "port") == "6379"
    finally:
        host.run_expect([0], "systemctl stop squatter")


@pytest.mark.usefixtures("put_back")
def test_a_new_password_counts_at_once_and_is_seen_nowhere(host: Any, play_role: Any) -> None:
    new = "p4ssw0rd-of-the-next-year"
    hidden = [text for word in (PASSWORD, new) for text in (word, hashlib.sha256(word.encode()).hexdigest())]
    # What every process of the host shows of itself, again and again while the role runs.
    look = "while [ ! -e /run/enough ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; sleep 0.02; done 2> /dev/null"
    watch = f'{look} | tr "\\0" "\\n" | sort --unique > /run/seen'
    host.run_expect([0], f"rm -f /run/enough; systemd-run --quiet --unit=watcher bash -c '{watch}'")
    output = well(play_role("redis", {**INPUT, "redis_password": new}, "-vvvv", "--diff"))
    host.run_expect([0], "touch /run/enough; while systemctl is-active --quiet watcher; do sleep 0.1; done")
    assert changed(output) == 1
    assert cli(host, "PING", new) == "PONG"
    assert "NOAUTH" in cli(host, "PING", PASSWORD)

    seen = host.file("/run/seen").content_string
    journal = host.check_output("journalctl --no-pager --output=verbose")
    assert "redis-server" in seen
    assert "redis_server" in journal
    for text in hidden:
        assert text not in output
        assert text not in seen
        assert text not in journal
    patterns = " ".join(f"-e {text}" for text in hidden)
    assert host.run(f"grep -rlF {patterns} /etc /var /root /run /tmp").stdout.split() == [ACL]


@pytest.mark.usefixtures("put_back")
def test_more_memory_another_policy_and_a_socket(host: Any, play_role: Any) -> None:
    wanted = {
        **INPUT,
        "redis_memory_max": "32M",
        "redis_policy": "volatile-ttl",
        "redis_socket": "/run/redis/redis.sock",
    }
    foretold = well(play_role("redis", wanted, "--check", "--diff"))
    assert changed(foretold) == 2
    assert setting(host, "maxmemory") == str(CAP)
    assert changed(well(play_role("redis", wanted))) == 1
    assert setting(host, "maxmemory") == str(CAP * 2)
    assert setting(host, "maxmemory-policy") == "volatile-ttl"
    assert cli(host, "PING", options="-s /run/redis/redis.sock") == "PONG"
    assert "NOAUTH" in cli(host, "PING", "", options="-s /run/redis/redis.sock")

    alone = {**wanted, "redis_port": 0}
    assert changed(well(play_role("redis", alone))) == 1
    assert changed(well(play_role("redis", alone))) == 0
    assert ":6379" not in host.check_output("ss --listening --numeric --tcp --no-header")


@pytest.mark.usefixtures("put_back")
def test_data_outlives_a_restart_if_asked_to_and_never_comes_back_later(host: Any, play_role: Any) -> None:
    well(play_role("redis", {**INPUT, "redis_persistence": True, "redis_allow": ["flushdb"]}))
    cli(host, "SET kept data")
    restart(host)
    assert cli(host, "GET kept") == "data"
    well(play_role("redis", INPUT))
    restart(host)
    assert cli(host, "EXISTS kept") == "0"


@pytest.mark.usefixtures("put_back")
def test_a_command_that_is_allowed_can_be_used(host: Any, play_role: Any) -> None:
    well(play_role("redis", {**INPUT, "redis_allow": ["flushdb", "client|list"]}))
    assert cli(host, "FLUSHDB") == "OK"
    assert "addr=" in cli(host, "CLIENT LIST")
    assert "NOPERM" in cli(host, "FLUSHALL")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"redis_password": "short"}, "redis_password is shorter than 16 characters"),
    ({"redis_memory_max": "plenty"}, "redis_memory_max: plenty is no size of at least 8M"),
    ({"redis_memory_max": "1M"}, "redis_memory_max: 1M is no size of at least 8M"),
    ({"redis_policy": "oldest"}, "value of redis_policy must be one of"),
    ({"redis_bind": ["127.0.0.1", "0.0.0.0"]}, "redis_bind: 0.0.0.0 is no loopback address"),
    ({"redis_bind": []}, "redis_bind: the empty list is no loopback address"),
    ({"redis_port": 0}, "redis_port is 0 and redis_socket is empty"),
    ({"redis_socket": "/tmp/redis.sock"}, "redis_socket: /tmp/redis.sock is not in /run/redis"),
    ({"redis_settings": {"requirepass": "x"}}, "redis_settings: requirepass: the role sets that itself"),
    ({"redis_settings": {"timeout": "1\nport 1"}}, "timeout: redis_settings takes names such as timeout"),
    ({"redis_allow": ["config|set ~secret"]}, "config|set ~secret: redis_settings takes names"),
]


def test_what_cannot_work_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """All of them in one run, which changes nothing."""
    role = {"name": "minato.fleet.redis"}
    tasks = [
        {
            "block": [{"ansible.builtin.include_role": role, "vars": {**INPUT, **wrong}}],
            "rescue": [{"ansible.builtin.debug": {"msg": "refused"}}],
        }
        for wrong, _sentence in REFUSED
    ]
    facts = [{"minato.fleet.facts": {}}]
    playbook = tmp_path / "refused.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": facts + tasks}]), encoding="utf-8")
    output = well(run_playbook(playbook))
    assert f"rescued={len(REFUSED)}" in output
    assert changed(output) == 0
    for _wrong, sentence in REFUSED:
        assert sentence in output
