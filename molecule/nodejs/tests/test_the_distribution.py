"""S1.3: the distribution's own version, on the host that has others beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

testinfra_hosts = ["ansible://npm"]

MAJORS = {"bookworm": "18", "trixie": "20"}
TEMPTATION = "/etc/apt/sources.list.d/temptation.list"


def test_a_version_that_it_does_not_have_is_refused(host: Any, play_role: Any) -> None:
    refused = play_role("nodejs", {"nodejs_versions": ["22"], "nodejs_method": "distribution"}, hosts="npm")
    assert refused.returncode != 0
    codename = host.system_info.codename
    message = (
        f"asks for 22, but {codename} has Node.js {MAJORS[codename]}. Ask for that major, or write nodejs_method: npm."
    )
    assert message in refused.stdout


def test_an_app_runs_it_from_the_place_of_every_method(
    host: Any, play_role: Any, as_app: Callable[[str, str], str]
) -> None:
    major = MAJORS[host.system_info.codename]
    variables = {"nodejs_versions": [major], "nodejs_method": "distribution"}
    told = play_role("nodejs", variables, "--check", hosts="npm")
    assert (told.returncode, "changed=1" in told.stdout) == (0, True), told.stdout
    assert not host.file(f"/opt/node/{major}").exists
    assert play_role("nodejs", variables, hosts="npm").returncode == 0
    again = play_role("nodejs", variables, hosts="npm")
    assert "changed=0" in again.stdout
    assert as_app(major, "node --version").startswith(f"v{major}.")
    assert as_app(major, "npm --version")
    assert as_app(major, "npx --version")


def test_it_is_held_against_an_upgrade_to_another_repository_s_version(host: Any) -> None:
    source = "deb [signed-by=/srv/apt/key.asc] http://localhost:8000/node_22.x nodistro main"
    installed = host.package("nodejs").version
    try:
        host.run_expect([0], f"echo '{source}' > {TEMPTATION} && apt-get update -q")
        assert "22.1.0-1other1" in host.check_output("apt-cache madison nodejs")
        host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get --yes -q upgrade")
        assert host.package("nodejs").version == installed
    finally:
        host.run_expect([0], f"rm {TEMPTATION}; apt-get update -q")
