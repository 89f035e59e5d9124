"""Steps that run an app's own commands, and the one that writes down what became of them; systemd-run is played."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.modules.release import Step, StepError, foretold

ID = "0007-3f2a9c01b7de"
COMMIT = "3f2a9c01b7de4f5a6b7c8d9e0f1a2b3c4d5e6f70"
# Does with its arguments what the release module wants of systemd-run, as one's own user and without limits.
SYSTEMD_RUN = f"""#!{sys.executable}
import os, subprocess, sys
words, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
settings = [word.partition("=")[2].partition("=")[::2] for word in words if word.startswith("--property=")]
environment = dict(word.partition("=")[2].split("=", 1) for word in words if word.startswith("--setenv="))
for key, value in settings:
    if key == "EnvironmentFile":
        environment.update(line.split("=", 1) for line in open(value).read().splitlines())
seconds = float(dict(settings)["RuntimeMaxSec"])
command[-1] = command[-1].replace("$$", "$")
try:
    done = subprocess.run(command, cwd=dict(settings)["WorkingDirectory"], env=environment, timeout=seconds / 100)
except subprocess.TimeoutExpired:
    sys.exit("Finished with result: timeout")
sys.exit(done.returncode)
"""


class Module:
    """What a step asks of Ansible's module."""

    def __init__(self, tools: Path, params: dict[str, Any]) -> None:
        self.tools = tools
        self.params = params
        self.warnings: list[str] = []

    def get_bin_path(self, name: str, required: bool) -> str:
        assert required
        return str(self.tools / name)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module with an app that has a release on this machine."""
    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, lambda *_arguments, **_options: None)
    tools, home = tmp_path / "tools", tmp_path / "home"
    for directory in (tools, home / "releases" / ID, home / "shared"):
        directory.mkdir(parents=True)
    for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (home / "releases" / f"{ID}.json").write_text(json.dumps({"state": "building", "commit": COMMIT}))
    (home / "shared" / ".env").write_text("API_KEY=s3cret-word\n")
    app = {
        "name": "medical-api",
        "user": getpass.getuser(),
        "home": str(home),
        "repository": "https://git.medical.test/medical-api.git",
        "version": "main",
        "path_prefix": [],
        "build_memory_max": "1G",
        "env_file": str(home / "shared" / ".env"),
        "migrate": "npm run migrate",
        "migrate_env_files": [],
        "migrations": "migrations",
        "shared": [],
        "hooks": {},
    }
    known: dict[str, Any] = {
        "id": ID,
        "ids": [],
        "commit": None,
        "holder": "ono@desk, process 7",
        "over": "",
        "environment": {"CI": 1},
    }
    slots: dict[str, Any] = {"slot": "b", "fill": None, "empty": None, "ports": [], "drain": 0}
    told = {**slots, "point": None, "previous": None, "seconds": None, "host": "api-1", "reason": "", "timeout": 100}
    return Module(tools, {"app": app, **known, **told})


def take(module: Module, step: str, **params: Any) -> dict[str, Any]:
    module.params.update(step=step, **params)
    return Step(module).take()


def hooked(module: Module, point: str, command: str, timeout: int = 1000) -> dict[str, Any]:
    module.params["app"]["hooks"] = {point: {"command": command, "timeout": timeout}}
    return take(module, "hook", point=point)


@pytest.mark.parametrize(
    ("point", "place"),
    [("before_fetch", ""), ("after_build", f"releases/{ID}"), ("after_switch", f"releases/{ID}"), ("on_failure", "")],
)
def test_a_hook_knows_where_it_stands(module: Module, point: str, place: str) -> None:
    done = hooked(module, point, "pwd; echo $FLEET_APP $FLEET_RELEASE $FLEET_COMMIT $FLEET_POINT $CI ${#API_KEY}")
    directory = Path(module.params["app"]["home"], place)
    assert done == {"changed": True, "output": f"{directory}\nmedical-api {ID} {COMMIT} {point} 1 11"}


def test_where_an_app_has_no_hook_nothing_runs(module: Module) -> None:
    (module.tools / "systemd-run").unlink()
    assert take(module, "hook", point="before_start") == {"changed": False}
    assert not foretold(module.params)
    module.params["app"]["hooks"] = {"before_start": {"command": "true"}}
    assert foretold(module.params)


def test_a_hook_without_an_environment_file_runs(module: Module) -> None:
    os.unlink(module.params["app"]["env_file"])
    assert hooked(module, "before_start", "echo ${API_KEY-none}")["output"] == "none"


def test_a_hook_that_fails_says_what_it_said_without_secrets(module: Module) -> None:
    with pytest.raises(StepError) as failed:
        hooked(module, "before_start", "echo $API_KEY is wrong; exit 3")
    assert str(failed.value) == (
        "`echo $API_KEY is wrong; exit 3` ended with exit code 3. Its last lines:\n******** is wrong"
    )


def test_a_hook_has_a_time_of_its_own(module: Module) -> None:
    with pytest.raises(StepError, match=r"^`sleep 30` was stopped after 20 s"):
        hooked(module, "before_start", "sleep 30", timeout=20)


def test_a_finished_release_says_what_it_migrates(module: Module) -> None:
    release = Path(module.params["app"]["home"], "releases", ID)
    (release / "migrations").mkdir()
    (release / "migrations" / "0001_start.sql").touch()
    (release / "migrations" / "rollback-safe").write_text("0001_start.sql\n0002_gone.sql\n")
    take(module, "seal")
    manifest = json.loads((release.parent / f"{ID}.json").read_text())
    assert {key: manifest[key] for key in ("migrates", "migrations", "rollback_safe")} == {
        "migrates": True,
        "migrations": ["0001_start.sql"],
        "rollback_safe": ["0001_start.sql", "0002_gone.sql"],
    }
    assert module.warnings == ["medical-api: rollback-safe names 0002_gone.sql, which migrations does not have"]


def test_a_migration_does_not_run_without_its_lock(module: Module, tmp_path: Path) -> None:
    env_file = tmp_path / "migrate.env"
    env_file.write_text("MIGRATION_DATABASE_URL=postgresql://m:s3cret-word@127.0.0.1:9/x\n")
    module.params["app"].update(
        migrate=f"touch {shlex.quote(str(tmp_path / 'ran'))}", migrate_env_files=[str(env_file)]
    )
    with pytest.raises(StepError) as failed:
        take(module, "migrate")
    assert "s3cret-word" not in str(failed.value)
    assert not (tmp_path / "ran").exists()
    env_file.write_text("PORT=3000\n")
    assert take(module, "migrate")["changed"]
    assert (tmp_path / "ran").exists()


def test_what_became_of_a_deploy_is_written_down(module: Module) -> None:
    take(module, "begin")
    done = take(module, "record", result="failed", action="deploy", reason="\ns3cret-word is wrong\nat line 3")
    path = Path(module.params["app"]["home"], "history.jsonl")
    entry = json.loads(path.read_text())
    assert entry == done["entry"]
    assert 0 <= entry.pop("seconds") < 60
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "app": "medical-api",
        "host": "api-1",
        "release": ID,
        "previous": None,
        "commit": COMMIT,
        "version": "main",
        "action": "deploy",
        "result": "failed",
        "reason": "******** is wrong",
        "by": "ono@desk",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not foretold(module.params)


def test_a_slot_is_filled_with_the_lock_and_emptied_before_it_is_given_back(module: Module) -> None:
    home = Path(module.params["app"]["home"])
    assert take(module, "begin", fill="a")["changed"]
    take(module, "switch", slot="a", action="rollback")
    assert os.path.realpath(home / "current") == str(home / "releases" / ID)
    newer = "0008-9d0e1f2a3b4c"
    (home / "releases" / newer).mkdir()
    (home / "releases" / f"{newer}.json").write_text(json.dumps({"state": "ready", "commit": COMMIT}))
    module.params["id"] = newer
    take(module, "begin", fill="b")
    take(module, "switch", slot="b", action="rollback")
    assert (home / "slots" / "a").is_symlink()
    take(module, "end", empty="a")
    assert not (home / "slots" / "a").is_symlink()
    assert not (home / "releases" / ".lock").exists()


def test_a_switch_is_written_down_and_waits_for_what_was_asked_of_the_release_before(module: Module) -> None:
    take(module, "begin", fill="a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            done = take(module, "switch", slot="a", action="start", ports=[port], drain=0)
    assert done["connections"] == 1
    assert (done["entry"]["result"], done["entry"]["action"], done["entry"]["release"]) == ("ok", "start", ID)


def test_a_history_that_cannot_be_written_stops_no_deploy(module: Module) -> None:
    Path(module.params["app"]["home"], "history.jsonl").mkdir()
    done = take(module, "record", result="ok", action="deploy", seconds=41.52)
    assert done["entry"]["seconds"] == 41.5
    assert "did not get its line" in module.warnings[0]
