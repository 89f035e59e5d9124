"""S3.6 from outside: an app from its virtual environment, and what happens when its inputs change.

The tests share one host; the ones below the app's work on /opt/tools/venv.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.python_venv.tests.conftest import Build, changed
from ansible_collections.minato.fleet.plugins.module_utils._python_venv import install_command

testinfra_hosts = ["ansible://own"]

URL = "http://127.0.0.1:18800"
TOOLS = "/opt/tools"
INDEX = "http://localhost:8100/simple"
WHEELS = {"requirements": [f"{TOOLS}/requirements.txt"], "wheels": f"{TOOLS}/wheels"}


def ask(path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer of the app."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def serve(host: Any, *settings: str) -> None:
    """Start the app as a unit would, anew where it runs."""
    host.run("systemctl stop morizo")
    words = " ".join(f"--setenv={setting}" for setting in settings)
    host.check_output(
        f"systemd-run --unit=morizo --collect --uid=morizo --property=WorkingDirectory=/opt/morizo {words}"
        " /opt/morizo/venv/bin/uvicorn main:app --host 0.0.0.0 --port 8000"
    )
    for _attempt in range(100):
        try:
            ask("/health")
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(host.check_output("journalctl --unit=morizo --no-pager"))


@pytest.fixture(scope="module")
def app(host: Any) -> None:
    """The app, with its settings."""
    host.check_output("sed 's/=$/=given/' /opt/morizo/.env.example > /opt/morizo/.env")
    serve(host)


def builds(host: Any, directory: str = TOOLS) -> list[str]:
    return str(host.check_output(f"ls -A {directory} | grep -E '^[.]venv-' || true")).split()


def greet(host: Any) -> str:
    return str(host.check_output(f"{TOOLS}/venv/bin/greet"))


# The app


def test_the_version_is_where_every_host_has_it(host: Any, own: str) -> None:
    """S3.3"""
    assert host.check_output(f"/opt/python/{own}/bin/python3 --version").startswith(f"Python {own}.")


@pytest.mark.usefixtures("app")
def test_the_app_keeps_recipes_over_a_restart(host: Any) -> None:
    """S3.6"""
    assert ask("/recipes", {"category": "soup", "title": "Miso soup", "ingredients": ["miso", "tofu"]})[0] == 201
    assert ask("/recipes", {"category": "soup", "title": "Pumpkin soup", "ingredients": ["pumpkin", "milk"]})[0] == 201
    before = ask("/version")[1]
    serve(host)
    after = ask("/version")[1]
    assert after["pid"] != before["pid"]
    assert after["cwd"] == "/opt/morizo"
    assert after["uid"] == host.user("morizo").uid
    status, found = ask("/search?q=soup+with+tofu&category=soup&limit=1")
    assert (status, [each["title"] for each in found]) == (200, ["Miso soup"])
    assert ask("/search?q=tofu&category=main") == (200, [])
    status, health = ask("/health")
    assert (status, health["stores"]) == (200, {"main": 0, "sub": 0, "soup": 2})


@pytest.mark.usefixtures("app")
def test_the_app_refuses_what_is_no_recipe() -> None:
    assert ask("/recipes", {"category": "dessert", "title": "Mochi"})[0] == 422
    assert ask("/recipes", {"category": "main", "title": ""})[0] == 422
    assert ask("/search?q=")[0] == 422


@pytest.mark.usefixtures("app")
def test_the_app_logs_to_its_file_also_when_that_was_moved(host: Any) -> None:
    """S3.10"""
    ask("/health")
    host.check_output("mv /opt/morizo/morizo_ai.log /opt/morizo/morizo_ai.log.1")
    ask("/search?q=a-secret-wish")
    log = host.file("/opt/morizo/morizo_ai.log").content_string
    assert "GET /search 200" in log
    assert "a-secret-wish" not in log


@pytest.mark.usefixtures("app")
def test_the_app_is_ill_when_a_store_is(host: Any) -> None:
    host.check_output("mv /opt/morizo/recipe_vector_db_sub /opt/morizo/away")
    try:
        status, health = ask("/health")
        assert (status, health["status"]) == (503, "unavailable")
        assert isinstance(health["stores"]["sub"], str)
    finally:
        host.check_output("mv /opt/morizo/away /opt/morizo/recipe_vector_db_sub")
    assert ask("/health")[0] == 200


@pytest.mark.usefixtures("app")
def test_the_app_eats_memory_in_tests_only(host: Any) -> None:
    assert ask("/memory?mb=1")[0] == 404
    serve(host, "TEST=1")
    assert ask("/memory?mb=64") == (200, {"eaten_mb": 64})
    pid = ask("/version")[1]["pid"]
    resident = int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status"))
    assert resident > 64 << 10


def test_a_virtual_environment_is_its_owner_s(host: Any) -> None:
    """Also what pip wrote: it never ran as root."""
    assert host.check_output("find /opt/morizo/venv/ ! -user morizo") == ""
    assert host.check_output("stat -c %U /var/cache/minato-venv/morizo") == "morizo"
    assert host.file("/opt/morizo/venv").linked_to == "/opt/morizo/.venv-0001"


def test_the_app_s_own_settings_are_all_named_when_they_are_missing(host: Any) -> None:
    done = host.run(
        "cd /tmp && env -i PATH=/usr/bin PYTHONPATH=/opt/morizo OPENAI_MODEL=a"
        " /opt/morizo/venv/bin/python -c 'from morizo.settings import settings_of; import os;"
        " settings_of(os.environ)'"
    )
    assert "SUPABASE_URL is not set; SUPABASE_KEY is not set" in done.stderr


# Builds


def test_wheels_are_enough(host: Any) -> None:
    assert greet(host) == "greet 1.0 hello"


def test_a_run_says_what_it_would_build_and_why_and_a_change_is_built_once(host: Any, build: Build) -> None:
    before = builds(host)
    host.check_output(f"echo 'words' >> {TOOLS}/requirements.txt")
    told = build({**WHEELS, "tool": "uv"}, "--check", "--diff")
    assert changed(told) == 1
    assert f"{TOOLS}/venv: {TOOLS}/requirements.txt: " in told.stdout
    assert builds(host) == before
    assert changed(build({**WHEELS, "tool": "uv"})) == 1
    assert changed(build({**WHEELS, "tool": "uv"})) == 0
    after = builds(host)
    assert (len(after), after[0]) == (2, before[-1]), "the one before stays for what runs from it"
    assert host.check_output(f"readlink {TOOLS}/venv") == after[-1]
    assert greet(host) == "greet 1.0 hello"


def test_another_wheel_builds_anew(host: Any, build: Build) -> None:
    host.check_output(f"cp /srv/www/simple/greet/greet-2.0-py3-none-any.whl {TOOLS}/wheels/")
    assert changed(build({**WHEELS, "tool": "uv"})) == 1
    assert greet(host) == "greet 2.0 hello"


def test_what_a_killed_run_left_is_removed_and_a_damaged_build_replaced(host: Any, build: Build) -> None:
    host.check_output(f"mkdir {TOOLS}/.venv-0500 && ln -s nothing {TOOLS}/.venv.new && rm {TOOLS}/venv/bin/python")
    assert changed(build({**WHEELS, "tool": "uv"})) == 1
    assert builds(host)[-1] == ".venv-0501"
    assert ".venv-0500" not in builds(host)
    assert greet(host) == "greet 2.0 hello"


def test_another_tool_builds_anew_and_only_one_old_build_stays(host: Any, build: Build) -> None:
    assert changed(build(WHEELS)) == 1
    assert greet(host) == "greet 2.0 hello"
    assert len(builds(host)) == 2
    assert host.check_output(f"head -1 {TOOLS}/venv/bin/greet") == f"#!{TOOLS}/{builds(host)[-1]}/bin/python"


def test_a_build_that_fails_leaves_the_old_one_and_its_last_words(host: Any, build: Build) -> None:
    before = builds(host)
    host.check_output(f"echo 'nowhere==1.0' > {TOOLS}/other.txt")
    for tool in ("pip", "uv"):
        refused = build({**WHEELS, "tool": tool, "requirements": [f"{TOOLS}/other.txt"]})
        assert refused.returncode != 0
        assert (
            f"virtual environment {TOOLS}/venv could not be built, as root; what was in service still is"
            in refused.stdout
        )
        assert "nowhere==1.0" in refused.stdout
        assert f"{TOOLS}/wheels lacks it: pip download" in refused.stdout
    assert builds(host) == before
    assert greet(host) == "greet 2.0 hello"


@pytest.mark.parametrize(
    ("venv", "message"),
    [
        ({"requirements": [f"{TOOLS}/absent.txt"]}, f"{TOOLS}/absent.txt cannot be read (No such file or directory)"),
        (
            {"requirements": [f"{TOOLS}/requirements.txt"], "require_hashes": True},
            "requirements.txt does not pin greet, words",
        ),
        ({"project": TOOLS, "tool": "uv"}, "/opt/tools has no pyproject.toml"),
        ({**WHEELS, "owner": "nobody-here"}, "there is no user nobody-here on this host: make it first"),
        ({**WHEELS, "path": f"{TOOLS}/wheels"}, f"{TOOLS}/wheels is there, and no virtual environment: move it away"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_built(
    host: Any, build: Build, venv: dict[str, Any], message: str
) -> None:
    before = host.check_output(f"ls -lA {TOOLS} {TOOLS}/wheels")
    refused = build(venv)
    assert refused.returncode != 0
    assert message in refused.stdout
    assert host.check_output(f"ls -lA {TOOLS} {TOOLS}/wheels") == before


def test_no_secret_of_the_index_is_shown_anywhere(host: Any, build: Build) -> None:
    environment = {
        "PIP_INDEX_URL": f"http://reader:hunter-22@{INDEX.removeprefix('http://')}/absent",
        "UV_INDEX_OWN_PASSWORD": "in-the-open",
        "PIP_RETRIES": "0",
    }
    host.check_output(f"echo 'nowhere==1.0' > {TOOLS}/other.txt")
    refused = build({"requirements": [f"{TOOLS}/other.txt"], "environment": environment}, "-vvv", "--diff")
    assert refused.returncode != 0
    assert "nowhere==1.0" in refused.stdout
    said = refused.stdout.split("PLAYBOOK: ", 1)[-1] + host.check_output("journalctl --no-pager")
    assert "hunter-22" not in said
    assert "in-the-open" not in said


def test_nothing_is_compiled_where_wheels_alone_may_come(host: Any, build: Build) -> None:
    host.check_output(f"echo 'unbuilt' > {TOOLS}/other.txt")
    environment = {"PIP_INDEX_URL": INDEX, "UV_DEFAULT_INDEX": INDEX}
    for tool in ("pip", "uv"):
        asked = {"requirements": [f"{TOOLS}/other.txt"], "tool": tool, "environment": environment}
        refused = build({**asked, "only_binary": True})
        assert refused.returncode != 0
        assert "only_binary allows wheels alone" in refused.stdout
        assert "a build was begun" not in refused.stdout
        assert "a build was begun" in build(asked).stdout


def test_a_virtual_environment_made_by_hand_is_replaced_and_kept(host: Any, build: Build, own: str) -> None:
    by_hand = f"python{own} -m venv --without-pip /opt/hand/venv"
    host.check_output(f"mkdir -p /opt/hand && {by_hand} && echo mine > /opt/hand/venv/note")
    assert changed(build({**WHEELS, "tool": "uv", "path": "/opt/hand/venv"})) == 1
    assert host.check_output("/opt/hand/venv/bin/greet") == "greet 2.0 hello"
    assert host.check_output("cat /opt/hand/.venv-0000/note") == "mine"


# Projects and releases


@pytest.fixture(scope="module")
def project(host: Any) -> str:
    """A project with a lock, which the host's own index has been asked for."""
    host.check_output(
        "mkdir -p /srv/project && cd /srv/project && printf '%s\\n' '[project]' 'name = \"service\"' 'version = \"1\"'"
        " 'requires-python = \">=3.10\"' 'dependencies = [\"greet\"]' > pyproject.toml"
        f" && UV_DEFAULT_INDEX={INDEX} /opt/uv/bin/uv lock --quiet --cache-dir /tmp/uv"
    )
    return "/srv/project"


def test_a_project_is_built_from_its_lock_and_refused_where_that_is_out_of_date(
    host: Any, build: Build, project: str
) -> None:
    asked = {"project": project, "tool": "uv", "only_binary": True, "environment": {"UV_DEFAULT_INDEX": INDEX}}
    assert changed(build(asked)) == 1
    assert changed(build(asked)) == 0
    assert greet(host) == "greet 2.0 hello"
    host.check_output(f'cd {project} && cp pyproject.toml kept && sed -i \'s/"greet"/"greet<2"/\' pyproject.toml')
    try:
        refused = build(asked)
        assert refused.returncode != 0
        assert "needs to be updated" in refused.stdout
        assert greet(host) == "greet 2.0 hello"
    finally:
        host.check_output(f"cd {project} && mv kept pyproject.toml")


def test_a_project_is_built_offline(host: Any, build: Build, project: str) -> None:
    nowhere = {"UV_DEFAULT_INDEX": INDEX, "ALL_PROXY": "http://localhost:1", "UV_CACHE_DIR": "/tmp/nothing"}
    asked = {"project": project, "tool": "uv", "wheels": f"{TOOLS}/wheels", "environment": nowhere}
    assert changed(build(asked)) == 1
    assert greet(host) == "greet 2.0 hello"


@pytest.mark.parametrize(
    "options",
    [
        {"requirements": ["requirements.txt"], "tool": "pip"},
        {"requirements": ["requirements.txt"], "tool": "uv", "only_binary": True},
        {"project": ".", "tool": "uv"},
        {"project": ".", "tool": "uv", "lock": "pylock.toml"},
    ],
    ids=["pip", "uv", "uv.lock", "pylock.toml"],
)
def test_a_release_builds_its_own_in_place(
    host: Any, own: str, project: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The command that a deploy runs, as the app's user in the release's directory."""
    release = f"/opt/release-{request.node.callspec.id.rsplit('-', 1)[1]}"
    host.check_output(f"mkdir {release} && cp {project}/* {release} && echo greet > {release}/requirements.txt")
    host.check_output(
        f"cd {release} && /opt/uv/bin/uv export -q --locked --format pylock.toml -o pylock.toml"
        " --cache-dir /tmp/uv --default-index " + INDEX
    )
    host.check_output(f"chown -R morizo: {release}")
    line = install_command(f"/opt/python/{own}/bin/python3", **options)
    script = f"cd {release} && export HOME=/var/cache/minato-venv/morizo && {line}"
    done = host.run("runuser -u morizo -- env PIP_INDEX_URL=%s UV_DEFAULT_INDEX=%s sh -ec %s", INDEX, INDEX, script)
    assert done.rc == 0, done.stdout + done.stderr
    assert host.check_output(f"{release}/.venv/bin/greet") == "greet 2.0 hello"
    assert host.check_output(f"find {release}/.venv -type f -links +1") == "", "no file is the cache's too"
    assert host.run(f"find {release}/.venv -name 'greet.*.pyc' | grep -q .").rc == 0, "nobody may write there later"
