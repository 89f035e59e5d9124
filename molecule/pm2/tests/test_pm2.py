"""S1.5, driven from outside: who runs what, what comes back by itself, and what a run of the role notices.

The tests share one host and leave it converged.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

# All of them, also those that only look from outside: otherwise pytest runs these after the others.
pytestmark = pytest.mark.usefixtures("converged")

SCENARIO = Path(__file__).resolve().parents[1]
CONTAINER = "minato-pm2"
UNIT = "pm2@demo.service"
HOME = "/opt/demo/.pm2"
PM2 = f"runuser -u demo -- env -i HOME=/opt/demo PM2_HOME={HOME} PATH=/opt/node/20/bin:/usr/bin:/bin /opt/pm2/bin/pm2"


def ask() -> dict[str, Any]:
    """What the app itself says, over HTTP."""
    with urllib.request.urlopen("http://127.0.0.1:18300/", timeout=5) as response:
        return dict(json.load(response))


def answer(seconds: float = 30) -> dict[str, Any]:
    """As `ask`, waiting for the app to come up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def converge(*arguments: str) -> str:
    """Run the role as the scenario does; return Ansible's output."""
    done = run_playbook(SCENARIO / "converge.yml", *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    assert found, output
    return int(found.group(1))


def restarts(host: Any) -> int:
    """How often PM2 has started the app anew since it was declared."""
    listed = host.check_output(f"{PM2} jlist")
    return int(json.loads(listed[listed.index("[{") :])[0]["pm2_env"]["restart_time"])


@pytest.fixture(scope="module")
def converged(host: Any) -> None:
    """The host as the scenario made it, also when the tests have run on it before."""
    host.check_output("ln -sfn releases/0001 /opt/demo/current")
    host.check_output("echo JWT_SECRET=only-the-app-may-know > /opt/demo/shared/.env")
    converge()


def owners(host: Any, pattern: str) -> list[str]:
    """The users of the processes whose command line matches, one for each process."""
    lines = host.check_output("ps -eo user:32,args").splitlines()
    return [line.split()[0] for line in lines if re.search(pattern, line)]


def test_the_app_answers_from_its_release_with_its_settings():
    """S1.5"""
    said = answer()
    assert said["release"] == "0001"
    assert said["cwd"] == "/opt/demo/releases/0001"
    assert said["args"] == ["--greet", "the world"]
    assert said["greeting"] == "hello"
    assert said["node"].startswith("v20.")


def test_daemon_and_app_belong_to_the_apps_user_and_nothing_of_pm2_to_root(host):
    """S1.5, note: never as root"""
    assert owners(host, "God Daemon") == ["demo"]
    assert owners(host, "server.js") == ["demo"]
    assert ask()["uid"] == host.user("demo").uid


def test_the_unit_starts_at_boot(host):
    """S1.5"""
    assert host.service(UNIT).is_enabled
    assert host.service(UNIT).is_running


def test_the_saved_list_names_the_app_and_is_private_and_without_secrets(host):
    """S1.5"""
    saved = host.file(f"{HOME}/dump.pm2")
    assert [app["name"] for app in json.loads(saved.content_string)] == ["demo"]
    assert saved.mode == 0o600
    assert saved.user == "demo"
    assert "only-the-app-may-know" not in saved.content_string
    assert host.file(HOME).mode == 0o700


def test_logs_are_the_apps_own_and_not_for_everybody(host):
    """S1.11"""
    for name in ("out.log", "error.log"):
        log = host.file(f"/var/log/demo/{name}")
        assert (log.user, log.group) == ("demo", "adm")
        assert not log.mode & 0o007


def test_settings_reach_the_daemon(host):
    """S1.5, S1.11: the memory limit and the time-outs, as PM2 itself tells them"""
    listed = host.check_output(f"{PM2} jlist")
    process = json.loads(listed[listed.index("[{") :])[0]["pm2_env"]
    wanted = {"max_memory_restart": 600 << 20, "kill_timeout": 10000, "listen_timeout": 15000, "wait_ready": True}
    assert {key: process[key] for key in wanted} == wanted


def test_back_after_a_restart_of_the_unit(host):
    """S1.5"""
    before = ask()["pid"]
    host.check_output(f"systemctl restart {UNIT}")
    assert answer()["pid"] != before


def test_back_after_the_daemon_was_killed(host):
    """S1.5: PM2 starts apps again, systemd starts PM2 again"""
    before = ask()["pid"]
    daemon = host.check_output(f"systemctl show --property MainPID --value {UNIT}")
    host.check_output(f"kill -KILL {daemon}")
    time.sleep(2)
    assert answer()["pid"] != before
    assert host.check_output(f"systemctl show --property MainPID --value {UNIT}") not in (daemon, "0")


def test_back_after_a_crash_of_the_app():
    """S1.5"""
    before = ask()["pid"]
    with contextlib.suppress(OSError):  # it dies instead of answering
        urllib.request.urlopen("http://127.0.0.1:18300/crash", timeout=5)
    assert answer()["pid"] != before


def test_back_after_a_reboot(host):
    """S1.5"""
    subprocess.run(["docker", "restart", CONTAINER], check=True, capture_output=True)
    said = answer(60)
    assert said["release"] == "0001"
    assert host.service(UNIT).is_running


def test_a_run_changes_nothing_after_all_that():
    """Nothing of the above is drift."""
    assert changed(converge()) == 0


def test_a_release_that_pm2_reload_leaves_stale_is_noticed_and_started(host):
    """S1.5: PM2 keeps the old working directory on a reload and says that all is well"""
    host.check_output("ln -sfn releases/0002 /opt/demo/current")
    host.check_output(f"{PM2} reload demo")
    assert answer()["release"] == "0001"

    foretold = converge("--check", "--diff")
    assert "cwd: /opt/demo/releases/0002" in foretold
    assert answer()["release"] == "0001"

    assert changed(converge()) == 1
    assert ask()["release"] == "0002"
    assert ask()["cwd"] == "/opt/demo/releases/0002"
    assert changed(converge()) == 0


def test_a_changed_secret_restarts_the_app_exactly_once(host):
    """S1.4, S1.5: the app reads .env when it starts"""
    before = ask()
    host.check_output("echo JWT_SECRET=a-longer-one-that-only-the-app-may-know > /opt/demo/shared/.env")
    output = converge("--diff")
    after = ask()
    assert changed(output) == 1
    assert after["pid"] != before["pid"]
    assert after["secret_bytes"] > before["secret_bytes"]
    assert "only-the-app-may-know" not in output
    assert restarts(host) == 0
    assert changed(converge()) == 0
    assert ask()["pid"] == after["pid"]


def test_a_setting_changed_by_hand_is_put_back(host):
    """S1.5"""
    host.check_output(f"{PM2} stop demo")
    host.check_output(f"{PM2} save")
    assert changed(converge()) == 1
    assert answer()["release"] == "0002"
    assert changed(converge()) == 0


def test_a_daemon_that_systemd_did_not_start_is_replaced(host):
    """S1.5: somebody calls pm2 while the unit is down; what that starts would not come back after a reboot"""
    host.check_output(f"systemctl stop {UNIT}")
    host.check_output(f"{PM2} resurrect")
    assert answer()["release"] == "0002"
    assert changed(converge()) == 1
    assert answer()["release"] == "0002"
    assert host.service(UNIT).is_running
    assert owners(host, "God Daemon") == ["demo"]


def test_an_app_that_does_not_stay_up_fails_the_run_with_its_last_words(host):
    """S1.5: PM2 reports success for an app that dies right after its start"""
    host.check_output("echo 'console.error(`no database today`); process.exit(7)' > /opt/demo/releases/0002/broken.js")
    done = run_playbook(SCENARIO / "broken.yml")
    assert done.returncode != 0
    assert "ended with exit code 7" in done.stdout
    assert "no database today" in done.stdout
    assert changed(converge()) == 1
    assert answer()["release"] == "0002"


def test_an_app_that_cannot_do_its_work_fails_the_run_with_its_answer(host):
    """S1.8: it is up, and says that it is not well"""
    host.check_output("touch /opt/demo/shared/ill")
    try:
        done = run_playbook(SCENARIO / "converge.yml")
    finally:
        host.check_output("rm /opt/demo/shared/ill")
    assert done.returncode != 0
    assert "cannot do its work: http://127.0.0.1:3000/health answered with status 503" in done.stdout
    assert changed(converge()) == 0


def test_root_is_refused(host):
    """S1.5, note: never as root"""
    done = run_playbook(SCENARIO / "as_root.yml")
    assert done.returncode != 0
    assert "app demo: user root is refused: give the app a user of its own" in done.stdout
    assert not host.file("/etc/systemd/system/multi-user.target.wants/pm2@root.service").exists


def test_an_app_off_the_list_is_stopped_and_its_leavings_are_told_and_kept(host):
    """S1.5"""
    done = run_playbook(SCENARIO / "without_apps.yml")
    assert done.returncode == 0, done.stdout
    told = " ".join(done.stdout.split())
    assert "App demo is not wanted any more" in told
    assert "/var/log/demo" in told
    assert not host.service(UNIT).is_running
    assert not host.service(UNIT).is_enabled
    assert owners(host, r"God Daemon|server\.js") == []
    assert host.file("/var/log/demo/out.log").exists
    assert host.file(f"{HOME}/dump.pm2").exists
    assert changed(run_playbook(SCENARIO / "without_apps.yml").stdout) == 0

    converge()
    assert answer()["release"] == "0002"
