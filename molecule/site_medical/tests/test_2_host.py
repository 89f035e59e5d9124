"""S1's host from inside: who runs what, who may read what, and who listens."""

from __future__ import annotations

from typing import Any

import pytest

AS_THE_APP = "setpriv --reuid=medical-api --regid=medical-api --init-groups"


def test_node_runs_as_the_apps_user_and_never_as_root(app_host: Any) -> None:
    """S1.5: their write-up ran PM2 as root; ours does not."""
    owners = app_host.check_output("ps -eo user:32,args").splitlines()
    node = [line.split()[0] for line in owners if "node" in line or "PM2" in line]
    assert node
    assert set(node) == {"medical-api"}


def test_the_running_process_is_the_current_release(app_host: Any) -> None:
    current = app_host.check_output("readlink -f /opt/medical-api/current")
    pid = app_host.check_output("pgrep -u medical-api -x -f 'node .*/server.js'")
    # As its own user: the test's container may not look into other users' processes.
    assert app_host.check_output(f"{AS_THE_APP} readlink /proc/{pid}/cwd") == current


@pytest.mark.parametrize(
    ("path", "mode", "owner"),
    [
        ("/opt/medical-api/shared/.env", 0o600, "medical-api"),
        ("/opt/medical-api/slots/a.env", 0o600, "medical-api"),
        ("/opt/medical-api/migrate.env", 0o600, "root"),
        ("/opt/medical-api", 0o755, "root"),
        ("/opt/medical-api/.pm2", 0o700, "medical-api"),
    ],
)
def test_modes_and_owners(app_host: Any, path: str, mode: int, owner: str) -> None:
    """S1.4: secrets are for one reader each."""
    file = app_host.file(path)
    assert (file.mode, file.user) == (mode, owner)


def test_the_app_cannot_change_its_own_release(app_host: Any) -> None:
    attempt = app_host.run(f"{AS_THE_APP} sh -c 'echo x >> /opt/medical-api/current/server.js'")
    assert attempt.rc != 0
    assert "Permission denied" in attempt.stderr


def test_the_deployed_release_passes_its_own_tests(app_host: Any) -> None:
    command = "cd /opt/medical-api/current && HOME=/tmp PATH=/opt/node/20/bin:$PATH npm test --silent"
    assert "# fail 0" in app_host.run_expect([0], f"{AS_THE_APP} sh -c '{command}'").stdout


def test_only_ssh_and_the_web_listen_to_the_world(app_host: Any) -> None:
    listening = app_host.check_output("ss -Hltn").splitlines()
    addresses = {line.split()[3] for line in listening}
    world = {address.rsplit(":", 1)[1] for address in addresses if not address.startswith(("127.", "[::1]"))}
    assert world == {"22", "80", "443"}
    assert "127.0.0.1:3000" in addresses


def test_the_firewall_keeps_what_is_not_declared_inside(app_host: Any, db_host: Any) -> None:
    app_host.check_output("systemd-run --quiet --unit=undeclared python3 -m http.server 8099")
    try:
        app_host.check_output("for i in $(seq 50); do ss -Hltn | grep -q :8099 && exit; sleep 0.1; done; false")
        address = app_host.check_output("hostname -I").split()[0]
        reached = {port: db_host.run(f"timeout 2 bash -c '</dev/tcp/{address}/{port}'").rc for port in (443, 8099)}
        assert reached == {443: 0, 8099: 124}
    finally:
        app_host.check_output("systemctl stop undeclared")


def test_no_secret_outside_its_file(app_host: Any, secrets: dict[str, str]) -> None:
    """Not in the journal, not in a log, not in a process list, not in PM2's own files, not in a release."""
    values = [value for name, value in secrets.items() if name != "ADMIN_PASSWORD"]
    assert len(values) >= 3
    patterns = " ".join(f"-e {value}" for value in values)
    assert app_host.run(f"journalctl --no-pager -o export | grep -aF {patterns}").stdout == ""
    assert app_host.run(f"ps axww -o args | grep -v grep | grep -F {patterns}").stdout == ""
    places = "/var/log /opt /etc /var/lib/minato /tmp /run"
    found = app_host.run(f"grep -rlF {patterns} {places} 2>/dev/null").stdout.split()
    own = {"shared/.env", "migrate.env", "slots/a.env"}
    assert set(found) == {f"/opt/medical-api/{name}" for name in own}


def test_no_secret_in_what_a_run_prints(app_host: Any, play: Any, secrets: dict[str, str]) -> None:
    """At any verbosity, with diffs, while the files that hold the secrets are being written."""
    app_host.check_output("rm /opt/medical-api/shared/.env /opt/medical-api/migrate.env")
    run = play("site", "-vvvv", "--diff")
    assert run.returncode == 0, run.stdout[-2000:]
    assert "JWT_SECRET=(hidden)" in run.stdout
    assert [name for name, value in secrets.items() if value in run.stdout] == []


def test_the_database_refuses_plain_text(app_host: Any, secrets: dict[str, str]) -> None:
    code = (
        "import os, psycopg2; psycopg2.connect(host='db.medical.test', dbname='medical_system', user='app_user',"
        " password=os.environ['PW'], sslmode='disable')"
    )
    attempt = app_host.run(f'PW={secrets["DATABASE_PASSWORD"]} python3 -c "{code}"')
    assert attempt.rc != 0
    assert "no encryption" in attempt.stderr


def test_time_zone_and_journal_cap(app_host: Any) -> None:
    """S1.10, S1.11."""
    assert app_host.check_output("date +%Z") == "JST"
    assert "SystemMaxUse=" in app_host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_logs_are_rotated(app_host: Any) -> None:
    """S1.11: disk filled by logs."""
    assert app_host.run("logrotate --debug /etc/logrotate.d/medical-api").rc == 0
    assert app_host.service("logrotate.timer").is_enabled


def test_security_updates_are_on(app_host: Any) -> None:
    """S1.10."""
    assert app_host.service("apt-daily-upgrade.timer").is_enabled
    assert "Debian-Security" in app_host.check_output("apt-config dump Unattended-Upgrade")
