# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the action plugin hands to the host: rendered the way Ansible renders, refused by name where it cannot be."""

from __future__ import annotations

import base64
import itertools
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.connection import ConnectionBase
from ansible.template import Templar
from ansible_collections.minato.fleet.plugins.action.config_tree import ActionModule


class Fake(ActionModule):
    """The plugin with the host cut off: `sent` holds what the module would get."""

    def __init__(self, base: Path, args: dict[str, Any]) -> None:
        self._loader = DataLoader()
        self._loader.set_basedir(str(base))
        self._templar = Templar(loader=self._loader, variables={})
        self._task = SimpleNamespace(args=args, get_search_path=lambda: [str(base)], async_val=0, check_mode=False)
        self._task.diff = False
        self._connection: Any = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        self._supports_check_mode = self._supports_async = True
        self.sent: dict[str, Any] = {}

    def _execute_module(self, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self.sent = module_args
        assert task_vars["ansible_no_target_syslog"], "the module's arguments are a copy of the configuration"
        return {}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "templates" / "etc").mkdir(parents=True)
    (tmp_path / "files").mkdir()
    return tmp_path


def sent(base: Path, entry: dict[str, Any], variables: dict[str, Any] | None = None) -> dict[str, Any]:
    plugin = Fake(base, {"name": "set", "files": [{"path": "/x", **entry}]})
    plugin.run(task_vars=variables or {})
    return plugin.sent


def rendered(base: Path, text: str, **variables: Any) -> str:
    (base / "templates" / "etc" / "x.j2").write_text(text)
    (entry,) = sent(base, {"template": "etc/x.j2"}, variables)["files"]
    return str(entry["content"])


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain\n", "plain\n"),
        ("port {{ port }};\n", "port 80;\n"),
        ("{% if true %}\nyes\n{% endif %}\nend\n", "yes\nend\n"),
        ("{% for n in [1, 2] %}\n{{ n }}\n{% endfor %}", "1\n2\n"),
        ("ends {{ port }}", "ends 80\n"),
        ("{{ port }}", "80\n"),
        ("", ""),
    ],
)
def test_a_template_is_rendered_as_ansible_does_and_ends_with_a_newline(base: Path, text: str, result: str) -> None:
    assert rendered(base, text, port=80) == result


def test_an_entry_has_variables_of_its_own(base: Path) -> None:
    (base / "templates" / "x.j2").write_text("{{ site.name }} {{ port }}\n")
    entry = {"template": "x.j2", "vars": {"site": {"name": "a"}, "port": 81}}
    (file,) = sent(base, entry, {"port": 80})["files"]
    assert file["content"] == "a 81\n"
    assert "vars" not in file
    assert "template" not in file


def test_a_template_includes_its_neighbours(base: Path) -> None:
    (base / "templates" / "etc" / "part.j2").write_text("part {{ port }}\n")
    assert rendered(base, "{% include 'part.j2' %}\n{% include 'etc/part.j2' %}\n", port=80) == "part 80part 80\n"


def test_a_value_is_never_rendered_again(base: Path) -> None:
    assert rendered(base, "{{ given }}\n", given="{{ port }}", port=80) == "{{ port }}\n"


def test_a_file_is_copied_as_it_is(base: Path) -> None:
    (base / "files" / "x").write_bytes(b"\xff\x00{{ no }}")
    (entry,) = sent(base, {"src": "x"})["files"]
    assert base64.b64decode(entry["content_base64"]) == b"\xff\x00{{ no }}"


def test_a_secret_travels_apart(base: Path) -> None:
    args = sent(base, {"content": "TOKEN=hunter2\n", "secret": True})
    assert "hunter2" not in str(args["files"])
    assert base64.b64decode(args["secrets"]["/x"]) == b"TOKEN=hunter2\n"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"template": "etc/x.j2"}, "template etc/x.j2 (for /x): 'nothing' is undefined"),
        ({"template": "none.j2"}, "/x wants none.j2, which is not in the templates/ of this role or playbook"),
        ({"src": "none"}, "/x wants none, which is not in the files/ of this role or playbook"),
        ({"content": {"a": 1}}, "content of /x is a dict: give a string"),
        ({"content": "x", "src": "y"}, "files, entry 1 (/x): give exactly one of template, content, src, not content"),
        ({}, "files, entry 1 (/x): give exactly one of template, content, src, not none"),
        ({"contents": "x"}, "files, entry 1 (/x) has an unknown key contents; did you mean content?"),
        ({"content": "x", "secret": "yes"}, "files, entry 1 (/x): secret must be true or false, not 'yes'"),
        ({"content": "x", "vars": "y"}, "files, entry 1 (/x): vars must be a dictionary"),
    ],
)
def test_wrong_input_is_refused_before_the_host_is_asked(base: Path, entry: dict[str, Any], message: str) -> None:
    (base / "templates" / "etc" / "x.j2").write_text("{{ nothing }}\n")
    plugin = Fake(base, {"name": "set", "files": [{"path": "/x", **entry}]})
    with pytest.raises(AnsibleActionFail, match="config_tree set: .*" + re.escape(message)):
        plugin.run(task_vars={})
    assert plugin.sent == {}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"file": []}, "the set has an unknown key file; did you mean files?"),
        ({"secrets": {}}, "the set has an unknown key secrets"),
        ({"files": {"path": "/x"}}, "files is a dict: give a list"),
        ({"links": ["/x"]}, "links, entry 1 is a str: give a dictionary with path"),
        ({"directories": [{"mode": "0755"}]}, "directories, entry 1 has no path"),
        ({"links": [{"path": "/x", "dest": "y"}]}, "links, entry 1 (/x) has an unknown key dest"),
    ],
)
def test_a_misshapen_set_is_refused(base: Path, args: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=re.escape(message)):
        Fake(base, {"name": "set", **args}).run(task_vars={})


def test_an_error_in_a_secret_template_does_not_quote_the_value(base: Path) -> None:
    (base / "templates" / "x.j2").write_text("{{ token | community_no_such_filter }}{{ token | from_json }}\n")
    with pytest.raises(AnsibleActionFail) as failure:
        sent(base, {"template": "x.j2", "secret": True}, {"token": "hunter2"})
    assert "hunter2" not in str(failure.value)


class Login:
    """A connection that can be made anew; `made` counts how often it was."""

    _shell = SimpleNamespace(tmpdir=None)
    made = 0

    def reset(self) -> None:
        """Forget the open one."""
        self.made += 1


class Exec(Login):
    """A connection into a container."""

    reset = ConnectionBase.reset


class Waiting(Fake):
    """A host that holds a set which waits to be confirmed."""

    def __init__(self, base: Path, connection: Login, *answers: dict[str, Any] | Exception) -> None:
        super().__init__(base, {"name": "set", "files": [], "confirm_within": 300})
        self._connection = connection
        self.answers = iter(answers)

    def _execute_module(self, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if not module_args.get("confirm"):
            return {"changed": True, "unconfirmed": True}
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


REFUSED = AnsibleConnectionFailure("Connection refused")
KEPT: dict[str, Any] = {"changed": False, "unconfirmed": False}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0, 10)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


@pytest.mark.usefixtures("clock")
def test_a_set_is_confirmed_over_a_new_connection(base: Path) -> None:
    connection = Login()
    done = Waiting(base, connection, REFUSED, KEPT).run(task_vars={})
    assert done == {"changed": True, "unconfirmed": False}
    assert connection.made == 2, "every try is a new one"


@pytest.mark.usefixtures("clock")
def test_a_connection_that_is_no_login_is_used_as_it_is(base: Path) -> None:
    connection = Exec()
    assert not Waiting(base, connection, KEPT).run(task_vars={})["unconfirmed"]
    assert connection.made == 0


@pytest.mark.usefixtures("clock")
def test_a_host_that_lets_nobody_in_undoes_the_set_and_the_message_says_so(base: Path) -> None:
    done = Waiting(base, Login(), *[REFUSED] * 9).run(task_vars={})
    assert done["failed"]
    assert done["unconfirmed"]
    assert "no new connection to the host can be made" in done["msg"]
    assert "by itself, 300 s after the new one went live. Connection refused" in done["msg"]


@pytest.mark.usefixtures("clock")
def test_a_connection_that_came_too_late_says_so(base: Path) -> None:
    late = {"failed": True, "msg": "it was not confirmed in time"}
    assert Waiting(base, Login(), late).run(task_vars={})["msg"] == "it was not confirmed in time"
