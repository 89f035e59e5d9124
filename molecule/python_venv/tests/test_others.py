"""S3.3: versions that the distribution does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.python_venv.tests.conftest import Build, changed
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

testinfra_hosts = ["ansible://others"]

SOURCE = "/etc/apt/sources.list.d/python_venv.sources"
URL = "http://localhost:8100"
BUILDS = {
    "python_venv_source": "uv",
    "python_venv_uv_mirror": f"{URL}/builds",
    "python_venv_uv_downloads": f"{URL}/builds.json",
}


@pytest.fixture(scope="module", autouse=True)
def _converged(host: Any) -> None:
    """The host as the scenario made it, also when the tests have run on it before."""
    if not host.file(SOURCE).exists:
        run_playbook(Path(__file__).parents[1] / "converge.yml", "--limit=others")


@pytest.fixture
def install(play_role: Any) -> Any:
    """Run the role for some versions."""

    def run(versions: list[str], *arguments: str, **more: Any) -> Any:
        return play_role("python_venv", {"python_venv_versions": versions, **more}, *arguments, hosts="others")

    return run


@pytest.fixture
def repository(host: Any) -> dict[str, str]:
    key = host.file("/srv/www/key.asc").content_string
    return {"python_venv_apt_url": URL, "python_venv_apt_key": key}


def test_the_version_is_where_every_host_has_it(host: Any) -> None:
    assert host.package("python3.12").version == "3.12.99-1+test1"
    assert host.package("python3.12-venv").is_installed
    assert host.check_output("/opt/python/3.12/bin/python3 -c 'print(6 * 7)'") == "42"


def test_nothing_else_comes_from_the_repository(host: Any) -> None:
    assert "99.0-1+test1" in host.check_output("apt-cache madison curl")
    host.run_expect([0], "DEBIAN_FRONTEND=noninteractive apt-get --yes -q upgrade")
    assert host.package("curl").version != "99.0-1+test1"


def test_the_distribution_s_own_comes_from_the_distribution(host: Any, install: Any, repository: Any, own: str) -> None:
    """By the source auto, with the repository at hand."""
    host.check_output(f"rm -rf /opt/python/{own}")
    told = install([own, "3.12"], "--check", "--diff", **repository)
    assert changed(told) == 1
    assert f"+/opt/python/{own}: /usr/bin/python{own}" in told.stdout
    assert f"python{own} " not in host.file("/etc/apt/preferences.d/python_venv").content_string


def test_a_version_that_the_repository_does_not_have_changes_nothing(host: Any, install: Any, repository: Any) -> None:
    before = host.check_output("cat /etc/apt/preferences.d/python_venv /etc/apt/sources.list.d/*")
    refused = install(["3.12", "3.9"], **repository)
    assert refused.returncode != 0
    assert f"{URL} has no python3.9 for {host.system_info.codename}: ask for another version" in refused.stdout
    assert host.check_output("cat /etc/apt/preferences.d/python_venv /etc/apt/sources.list.d/*") == before


def test_a_repository_that_another_key_signs_changes_nothing(host: Any, install: Any, repository: Any) -> None:
    wrong = host.check_output(
        "GNUPGHOME=$(mktemp -d) && export GNUPGHOME"
        " && gpg --batch --quiet --passphrase '' --quick-generate-key other && gpg --armor --export"
    )
    refused = install(["3.12"], **{**repository, "python_venv_apt_key": wrong})
    assert refused.returncode != 0
    assert host.check_output("apt-get update -q -o APT::Update::Error-Mode=any && echo sound").endswith("sound")


def test_a_version_that_is_not_to_be_had_is_refused_before_any_change(host: Any, install: Any, own: str) -> None:
    """S3.3"""
    before = host.check_output("ls -A /opt/python; cat /etc/apt/sources.list.d/*")
    refused = install(["3.9"])
    assert refused.returncode != 0
    release = host.system_info.codename
    assert f"Python 3.9 is not to be had: this host is Debian {release}, whose own Python is {own}." in refused.stdout
    assert f"Ask for {own}, or say where another version comes from: python_venv_source: " in refused.stdout
    assert host.check_output("ls -A /opt/python; cat /etc/apt/sources.list.d/*") == before


# Standalone builds


def test_a_standalone_build_takes_the_same_place(host: Any, install: Any, own: str) -> None:
    assert changed(install([own], **BUILDS)) > 0
    assert changed(install([own], **BUILDS)) == 0
    assert host.check_output(f"readlink /opt/python/{own}").startswith(f".builds/cpython-{own}.78-linux-")
    prefix = host.check_output(f"/opt/python/{own}/bin/python3 -c 'import sys; print(sys.prefix)'")
    assert prefix.startswith("/opt/python/"), "its own library, not the distribution's"
    assert not host.file(SOURCE).exists, "another source takes the old one away"
    assert host.check_output(r"find /opt/python /opt/uv ! -type l \( ! -user root -o -perm /022 \)") == ""


def test_virtual_environments_stand_on_it_and_follow_it(host: Any, build: Build, own: str) -> None:
    host.check_output(
        "mkdir -p /opt/tools/wheels && cp /srv/www/simple/*/*.whl /opt/tools/wheels/"
        " && echo greet > /opt/tools/requirements.txt"
    )
    asked = {"requirements": ["/opt/tools/requirements.txt"], "wheels": "/opt/tools/wheels"}
    for tool in ("pip", "uv"):
        assert changed(build({**asked, "tool": tool})) == 1
        assert host.check_output("/opt/tools/venv/bin/greet") == "greet 2.0 hello"
    told = build({**asked, "tool": "uv"}, "--check", "--diff", **BUILDS, python_venv_versions=[f"{own}.77"])
    assert changed(told) == 1
    assert f"/opt/python/{own}: cpython-{own}.78-linux-" in told.stdout
    assert changed(build({**asked, "tool": "uv"}, **BUILDS, python_venv_versions=[f"{own}.77"])) == 1
    assert host.check_output(f"readlink /opt/python/{own}").startswith(f".builds/cpython-{own}.77-linux-")
    assert f"cpython-{own}.77-" in host.check_output("readlink -f /opt/tools/venv/bin/python")
    assert host.check_output("/opt/tools/venv/bin/greet") == "greet 2.0 hello"


def test_a_build_that_is_not_what_the_list_says_changes_nothing(host: Any, install: Any, own: str) -> None:
    before = host.check_output("ls -A /opt/python /opt/python/.builds | grep -v lock")
    refused = install([f"{own}.76"], **BUILDS)
    assert refused.returncode != 0
    assert f"uv could not get a standalone Python {own}.76. The last lines:" in refused.stdout
    assert "hash" in refused.stdout.lower() or "checksum" in refused.stdout.lower()
    assert host.check_output("ls -A /opt/python /opt/python/.builds | grep -v lock") == before


def test_a_build_that_nobody_has_is_told(install: Any) -> None:
    refused = install(["3.8"], **BUILDS)
    assert refused.returncode != 0
    assert "uv could not get a standalone Python 3.8" in refused.stdout


def test_the_distribution_s_own_takes_the_place_back(host: Any, install: Any, own: str) -> None:
    assert changed(install([own])) == 1
    assert changed(install([own])) == 0
    assert host.check_output(f"readlink /opt/python/{own}/bin/python3") == f"/usr/bin/python{own}"
    assert host.check_output("/opt/tools/venv/bin/greet") == "greet 2.0 hello"


def test_another_version_of_uv_takes_the_old_one_away(host: Any, install: Any, own: str) -> None:
    """From an index of one's own, which has a stand-in."""
    asked = {"python_venv_uv_version": "0.0.1", "python_venv_environment": {"PIP_INDEX_URL": f"{URL}/simple"}}
    assert changed(install([own], python_venv_uv=True, **asked)) == 1
    assert host.check_output("/opt/uv/bin/uv --version") == "uv 0.0.1"
    assert host.check_output("ls -A /opt/uv") == "0.0.1\nbin"


def test_a_version_of_uv_that_does_not_exist_changes_nothing(host: Any, install: Any, own: str) -> None:
    index = {"PIP_INDEX_URL": f"{URL}/simple"}
    refused = install([own], python_venv_uv=True, python_venv_uv_version="0.0.999", python_venv_environment=index)
    assert refused.returncode != 0
    assert "pip could not install uv 0.0.999. The last lines:" in refused.stdout
    assert host.check_output("/opt/uv/bin/uv --version") == "uv 0.0.1"
    assert host.check_output("ls -A /opt/uv") == "0.0.1\nbin"
