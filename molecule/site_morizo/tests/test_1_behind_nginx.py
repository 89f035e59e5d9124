"""S3 from outside, with nginx in front."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

CONTAINER = "minato-site_morizo-app"
UNITS = ("morizo-web", "morizo-aiv2")
STORES = ("recipe_vector_db_main", "recipe_vector_db_sub", "recipe_vector_db_soup")


def test_the_site_answers_over_https_and_its_pages_have_what_the_build_was_given(site: Any) -> None:
    """S3.8, S3.9"""
    status, _headers, page = site.ask("/")
    assert status == 200
    assert "https://supabase.morizo.test" in page


def test_the_chat_reaches_the_api(site: Any, app_host: Any) -> None:
    """S3.2, S3.9: what is added on the API is found through the web app"""
    added = '{"category": "main", "title": "Miso salmon", "ingredients": ["salmon", "miso"]}'
    command = f"curl -sS -f -H 'Content-Type: application/json' -d '{added}' http://127.0.0.1:8000/recipes"
    app_host.check_output("apt-get install -qy --no-install-recommends curl >/dev/null")
    app_host.check_output(command)
    status, _headers, found = site.ask("/api/search?q=salmon")
    assert status == 200
    assert "Miso salmon" in str(found)


@pytest.mark.parametrize("port", [3000, 8000])
def test_only_the_web_server_is_reachable(site: Any, port: int) -> None:
    """S3.2"""
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((site.address, port), timeout=3)


@pytest.mark.parametrize("unit", UNITS)
def test_units_run_as_their_own_users_with_limits_and_in_a_sandbox(app_host: Any, unit: str) -> None:
    """S3.1, S3.7, S3.8, S3.9"""
    shown = dict(
        line.split("=", 1)
        for line in app_host.check_output(
            f"systemctl show {unit} -p User -p MainPID -p MemoryMax -p NoNewPrivileges -p Restart -p UnitFileState"
        ).splitlines()
    )
    assert (shown["User"], shown["UnitFileState"], shown["Restart"]) == (unit, "enabled", "always")
    assert (shown["NoNewPrivileges"], shown["MemoryMax"] != "infinity") == ("yes", True)
    assert app_host.check_output(f"stat -c %U /proc/{shown['MainPID']}") == unit
    score = float(
        app_host.check_output(f"systemd-analyze security --no-pager {unit} | tail -1").split(": ")[1].split()[0]
    )
    print(f"{unit}: systemd-analyze security {score}")
    assert score <= 2.5


@pytest.mark.parametrize("store", STORES)
def test_vector_stores_outlive_releases(app_host: Any, store: str) -> None:
    """S3.6"""
    path = f"/opt/morizo-aiv2/current/{store}"
    assert app_host.check_output(f"realpath {path}") == f"/opt/morizo-aiv2/shared/{store}"
    assert app_host.file(f"/opt/morizo-aiv2/shared/{store}").user == "morizo-aiv2"


def test_environment_files(app_host: Any, secrets: dict[str, str]) -> None:
    """S3.6, S3.8: each under the name its app reads, for its app alone"""
    ai = app_host.file("/opt/morizo-aiv2/shared/.env")
    web = app_host.file("/opt/morizo-web/shared/.env.local")
    assert (ai.mode, ai.user, web.mode, web.user) == (0o600, "morizo-aiv2", 0o600, "morizo-web")
    assert secrets["OPENAI_API_KEY"] in ai.content_string
    assert secrets["OPENAI_API_KEY"] not in web.content_string


def test_logs_are_in_the_journal_and_in_a_file_that_is_rotated(app_host: Any) -> None:
    """S3.7, S3.10"""
    assert "Uvicorn" in app_host.check_output("journalctl -t morizo-aiv2 -o cat --no-pager")
    log = "/var/log/morizo-aiv2/morizo_ai.log"
    assert app_host.file(log).size > 0
    app_host.check_output("logrotate --force /etc/logrotate.d/morizo-aiv2")
    assert app_host.file(f"{log}.1").exists or app_host.file(f"{log}.1.gz").exists


def test_the_box_has_a_gigabyte() -> None:
    """S3.1: what Docker limits. Swap is the host's own, which a container cannot make: base writes its unit only."""
    limit = subprocess.check_output(["docker", "inspect", "-f", "{{.HostConfig.Memory}}", CONTAINER], text=True)
    assert int(limit) == 1 << 30


def test_a_crash_is_mended(app_host: Any, site: Any) -> None:
    """S3.7: Restart=always"""
    before = app_host.check_output("systemctl show morizo-web -p MainPID --value")
    app_host.check_output(f"kill -9 {before}")
    site.until_up()
    assert app_host.check_output("systemctl show morizo-web -p MainPID --value") != before


def test_the_plan_shows_the_sum(play: Any) -> None:
    """S2.1's question, asked of S3's box: does it fit?"""
    done = play("plan")
    assert done.returncode == 0, done.stdout
    assert "morizo-1 (node, python, web; 1024 MB)" in done.stdout
    assert "while morizo-web is built" in done.stdout
