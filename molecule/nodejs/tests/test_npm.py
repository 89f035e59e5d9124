"""S1.3: versions side by side from the npm registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

testinfra_hosts = ["ansible://npm"]

VERSIONS = {"nodejs_versions": ["22.20.0", "24"]}


def test_an_app_runs_the_major_that_was_asked_for(as_app: Callable[[str, str], str]) -> None:
    assert as_app("24", "node --version").startswith("v24.")


def test_an_exact_version_stands_beside_it(as_app: Callable[[str, str], str]) -> None:
    assert as_app("22", "node --version") == "v22.20.0"


def test_npm_and_npx_run_on_the_app_s_own_node(as_app: Callable[[str, str], str]) -> None:
    for major, npm in (("22", "10."), ("24", "11.")):
        assert as_app(major, "npm --version").startswith(npm)
        assert as_app(major, "npx --version").startswith(npm)
        assert as_app(major, "npm exec --offline --call='node --version'").startswith(f"v{major}.")


def test_an_app_cannot_change_its_node(host: Any) -> None:
    assert host.check_output(r"find /opt/node ! -type l \( ! -user root -o -perm /022 \)") == ""


def test_nothing_of_the_installation_is_left(host: Any) -> None:
    assert host.check_output("ls -A /opt/node") == "22\n24"
    assert not host.file("/root/.npm/_cacache").exists


def test_a_run_without_change_never_starts_npm(host: Any, play_role: Any) -> None:
    """A client that fails when called shows whether it is."""
    host.run_expect([0], "mv /usr/bin/npm /usr/bin/npm.real && ln -s /bin/false /usr/bin/npm")
    try:
        again = play_role("nodejs", VERSIONS, hosts="npm")
        assert again.returncode == 0, again.stdout
        assert "changed=0" in again.stdout
    finally:
        host.run_expect([0], "mv /usr/bin/npm.real /usr/bin/npm")


def test_a_version_that_does_not_exist_changes_nothing(host: Any, play_role: Any) -> None:
    before = host.check_output("stat -c '%n %i' /opt/node/*")
    refused = play_role("nodejs", {"nodejs_versions": ["22.99.99"]}, hosts="npm")
    assert refused.returncode != 0
    assert "npm could not install node-linux-" in refused.stdout
    assert "No matching version found for node-linux-" in refused.stdout
    assert host.check_output("stat -c '%n %i' /opt/node/*") == before
    assert host.check_output("ls -A /opt/node") == "22\n24"


def test_a_downgrade_is_refused_until_it_is_asked_for(
    host: Any, play_role: Any, as_app: Callable[[str, str], str]
) -> None:
    older = {"nodejs_versions": ["22.19.0", "24"]}
    refused = play_role("nodejs", older, hosts="npm")
    assert refused.returncode != 0
    assert "/opt/node/22 has Node.js 22.20.0: 22.19.0 would be a downgrade." in refused.stdout
    assert as_app("22", "node --version") == "v22.20.0"
    moved = play_role("nodejs", {**older, "nodejs_allow_downgrade": True}, "--diff", hosts="npm")
    assert moved.returncode == 0, moved.stdout
    assert "-node 22.20.0, npm 10." in moved.stdout
    assert "+node 22.19.0, npm 10" in moved.stdout
    assert as_app("22", "node --version") == "v22.19.0"
    assert host.check_output("ls -A /opt/node") == "22\n24"


def test_a_prefix_that_was_damaged_is_mended_and_the_newer_version_taken(
    host: Any, play_role: Any, as_app: Callable[[str, str], str]
) -> None:
    host.run_expect([0], "rm /opt/node/22/bin/npx")
    assert play_role("nodejs", {"nodejs_versions": ["22.20.0"]}, hosts="npm").returncode == 0
    assert as_app("22", "npx --version").startswith("10.")
    assert as_app("22", "node --version") == "v22.20.0"
    assert host.check_output("ls -A /opt/node") == "22\n24", "what is not listed stays"
