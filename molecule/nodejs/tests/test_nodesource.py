"""S1.3: one version from an apt repository in NodeSource's shape, pinned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

testinfra_hosts = ["ansible://nodesource"]

SOURCE = "/etc/apt/sources.list.d/nodesource.sources"


def role(version: str, **more: Any) -> dict[str, Any]:
    """The scenario's own variables, with another version."""
    key = (Path(__file__).parents[1] / "files/nodesource.asc").read_text(encoding="utf-8")
    return {
        "nodejs_versions": [version],
        "nodejs_method": "nodesource",
        "nodejs_nodesource_url": "http://localhost:8000",
        "nodejs_nodesource_key": key,
        **more,
    }


def upgrade(host: Any) -> None:
    host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get --yes -q upgrade")


def test_an_app_runs_the_newest_release_of_the_major(as_app: Callable[[str, str], str]) -> None:
    assert as_app("20", "node --version") == "v20.99.0"
    assert as_app("20", "npm --version") == "10.0.0"
    assert as_app("20", "npx --version") == "10.0.0"


def test_an_upgrade_does_not_take_another_major(host: Any) -> None:
    """The same repository offers others, the distribution its own."""
    assert "22.1.0-1other1" in host.check_output("apt-cache madison nodejs")
    upgrade(host)
    assert host.package("nodejs").version == "20.99.0-1nodesource1"


def test_an_exact_version_comes_only_where_a_downgrade_is_allowed_and_is_held(host: Any, play_role: Any) -> None:
    pin = host.file("/etc/apt/preferences.d/nodejs").content
    refused = play_role("nodejs", role("20.98.0"), hosts="nodesource")
    assert refused.returncode != 0
    assert "this host has Node.js 20.99.0-1nodesource1: that would be a downgrade." in refused.stdout
    assert host.file("/etc/apt/preferences.d/nodejs").content == pin
    assert host.check_output("node --version") == "v20.99.0"
    moved = play_role("nodejs", role("20.98.0", nodejs_allow_downgrade=True), hosts="nodesource")
    assert moved.returncode == 0, moved.stdout
    assert host.check_output("/opt/node/20/bin/node --version") == "v20.98.0"
    upgrade(host)
    assert host.package("nodejs").version == "20.98.0-1nodesource1"


def test_a_repository_that_another_key_signs_changes_nothing(host: Any, play_role: Any) -> None:
    wrong = host.check_output(
        "GNUPGHOME=$(mktemp -d) && export GNUPGHOME"
        " && gpg --batch --quiet --passphrase '' --quick-generate-key other && gpg --armor --export"
    )
    refused = play_role("nodejs", role("20", nodejs_nodesource_key=wrong), hosts="nodesource")
    assert refused.returncode != 0
    assert host.check_output("apt-get update -q -o APT::Update::Error-Mode=any && echo sound").endswith("sound")


def test_several_versions_are_refused(play_role: Any) -> None:
    refused = play_role("nodejs", role("20", nodejs_versions=["20", "22"]), hosts="nodesource")
    assert refused.returncode != 0
    assert "nodejs_versions asks for 20, 22: the method nodesource installs one version" in refused.stdout


def test_another_major_takes_the_place_of_the_old_one(host: Any, play_role: Any) -> None:
    moved = play_role("nodejs", role("22"), hosts="nodesource")
    assert moved.returncode == 0, moved.stdout
    assert host.check_output("/opt/node/22/bin/node --version") == "v22.0.0"
    assert host.check_output("grep -h ^URIs /etc/apt/sources.list.d/*").count("localhost:8000") == 1
    assert "node_22.x" in host.file(SOURCE).content_string
    assert "version /^22" in host.file("/etc/apt/preferences.d/nodejs").content_string
    assert host.check_output("find /opt/node ! -type d | cut -d/ -f4 | sort -u") == "22", "no link of the old major"


def test_another_method_uses_the_npm_that_is_there(host: Any, play_role: Any) -> None:
    """NodeSource's package and Debian's npm exclude each other."""
    told = play_role(
        "nodejs", {"nodejs_versions": ["24"], "nodejs_method": "npm"}, "--check", "--diff", hosts="nodesource"
    )
    assert told.returncode == 0, told.stdout
    assert "+node 24" in told.stdout
    assert not host.package("npm").is_installed
