"""S1.3: one version from an apt repository in NodeSource's shape, pinned."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

testinfra_hosts = ["ansible://nodesource"]


def role(tmp_path: Path, version: str, **more: Any) -> dict[str, Any]:
    """The scenario's own variables, with another version."""
    key = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "nodesource.asc").read_text(encoding="utf-8")
    return {
        "nodejs_versions": [version],
        "nodejs_method": "nodesource",
        "nodejs_nodesource_url": "http://localhost:8000",
        "nodejs_nodesource_key": key,
        **more,
    }


def test_an_app_runs_the_newest_release_of_the_major(as_app: Callable[[str, str], str]) -> None:
    assert as_app("20", "node --version") == "v20.99.0"
    assert as_app("20", "npm --version") == "10.0.0"
    assert as_app("20", "npx --version") == "10.0.0"


def test_an_upgrade_does_not_take_another_major(host: Any) -> None:
    """The same repository offers 22.0.0, the distribution its own."""
    assert "22.0.0-1nodesource1" in host.check_output("apt-cache madison nodejs")
    assert "Candidate: 20.99.0-1nodesource1" in host.check_output("apt-cache policy nodejs")
    assert "nodejs" not in host.check_output("apt-get --simulate --quiet dist-upgrade")


def test_an_exact_version_is_held_against_upgrades(host: Any, play_role: Any, tmp_path: Path) -> None:
    refused = play_role("nodejs", role(tmp_path, "20.98.0"), hosts="nodesource")
    assert refused.returncode != 0, "a downgrade nobody allowed"
    assert host.check_output("node --version") == "v20.99.0"
    try:
        moved = play_role("nodejs", role(tmp_path, "20.98.0", nodejs_allow_downgrade=True), hosts="nodesource")
        assert moved.returncode == 0, moved.stdout
        assert host.check_output("/opt/node/20/bin/node --version") == "v20.98.0"
        assert "nodejs" not in host.check_output("apt-get --simulate --quiet dist-upgrade")
    finally:
        assert play_role("nodejs", role(tmp_path, "20"), hosts="nodesource").returncode == 0
    assert host.check_output("node --version") == "v20.99.0"


def test_a_repository_that_another_key_signs_changes_nothing(host: Any, play_role: Any, tmp_path: Path) -> None:
    wrong = host.check_output(
        "GNUPGHOME=$(mktemp -d) && export GNUPGHOME"
        " && gpg --batch --quiet --passphrase '' --quick-generate-key other && gpg --armor --export"
    )
    refused = play_role("nodejs", role(tmp_path, "20", nodejs_nodesource_key=wrong), hosts="nodesource")
    assert refused.returncode != 0
    assert host.check_output("apt-get update -q -o APT::Update::Error-Mode=any && echo sound").endswith("sound")


def test_several_versions_are_refused(play_role: Any, tmp_path: Path) -> None:
    variables = role(tmp_path, "20")
    variables["nodejs_versions"] = ["20", "22"]
    refused = play_role("nodejs", variables, hosts="nodesource")
    assert refused.returncode != 0
    assert "nodejs_versions asks for 20, 22: the method nodesource installs one version" in refused.stdout
