"""S3.13: the checklist passes on what site.yml built, and each of its lines is seen to fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

KEY = "$(realpath /etc/ssl/fleet/morizo.test/privkey.pem)"
LOG = "/var/log/morizo-aiv2/leak.log"

# What breaks the line, what mends it again, and what is then said.
BROKEN = {
    "certificate in place": (
        f"cd $(dirname {KEY}) && mkdir away && mv fullchain*.pem away/",
        f"cd $(dirname {KEY}) && mv away/* . && rmdir away",
        "morizo.test: there is none that can be read",
    ),
    "private key": (f"chmod 0644 {KEY}", f"chmod 0600 {KEY}", "its mode is 0644"),
    "environment file is private": (
        "chmod 0644 /opt/morizo-aiv2/shared/.env",
        "chmod 0600 /opt/morizo-aiv2/shared/.env",
        "/opt/morizo-aiv2/shared/.env: its mode is 0644",
    ),
    "environment file is ignored by git": (
        "cd /opt/morizo-web/current && mv .gitignore ../ignore",
        "cd /opt/morizo-web/current && mv ../ignore .gitignore",
        "/opt/morizo-web/current/.env.local: the repository would take it in",
    ),
    "no secrets in logs": (
        f"grep ^OPENAI_API_KEY= /opt/morizo-aiv2/shared/.env > {LOG}",
        f"rm {LOG}",
        f"morizo-aiv2: OPENAI_API_KEY in {LOG}",
    ),
    "only declared ports": (
        "systemd-run --quiet --unit stranger python3 -m http.server 4444",
        "systemctl stop stranger",
        "python3 on tcp 4444",
    ),
    "data directory": (
        "chmod o+rx /opt/morizo-aiv2/shared/recipe_vector_db_main",
        "chmod o-rx /opt/morizo-aiv2/shared/recipe_vector_db_main",
        "recipe_vector_db_main: its mode is 07",
    ),
    "files belong to the app": (
        "touch /opt/morizo-aiv2/shared/foreign && chown nobody /opt/morizo-aiv2/shared/foreign",
        "rm /opt/morizo-aiv2/shared/foreign",
        "owned by others: /opt/morizo-aiv2/shared/foreign",
    ),
    "runs as its own user": (
        "cd /opt/morizo-aiv2/shared && systemd-run --quiet --unit stray --working-directory=$PWD sleep 600",
        "systemctl stop stray",
        "as root",
    ),
    "packages up to date": (
        "touch /run/reboot-required",
        "rm /run/reboot-required",
        "restart: an update waits for one",
    ),
    "SSH by key, not as root": (
        "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/0-open.conf",
        "rm /etc/ssh/sshd_config.d/0-open.conf",
        "permitrootlogin yes",
    ),
}


def table(play: Any) -> tuple[int, str]:
    """The exit code of the checklist, and its lines with single spaces."""
    done = play("security_check")
    return done.returncode, " ".join(done.stdout.replace('"', " ").split())


def test_all_lines_pass(play: Any) -> None:
    code, said = table(play)
    print(said)
    assert "FAIL" not in said, said
    assert code == 0
    assert all(f"pass {check}" in said for check in BROKEN)


@pytest.fixture(scope="module")
def broken(play: Any, app_host: Any) -> Iterator[tuple[int, str]]:
    """What is said with every line broken at once: a run takes longer than all the mischief."""
    for breaks, _mends, _wrong in BROKEN.values():
        app_host.check_output("bash -ec %s", breaks)
    try:
        yield table(play)
    finally:
        for _breaks, mends, _wrong in BROKEN.values():
            app_host.check_output("bash -ec %s", mends)


@pytest.mark.parametrize("check", BROKEN)
def test_a_line_is_seen_to_fail(broken: tuple[int, str], secrets: dict[str, str], check: str) -> None:
    code, said = broken
    wrong = BROKEN[check][2]
    assert code != 0
    failed = [part for part in said.split("FAIL ")[1:] if part.startswith(check) and wrong in part]
    assert failed, said
    assert "->" in failed[0], "the remedy"
    assert not any(value in said for value in secrets.values())
