"""`config_tree` with a real nginx that answers all the while, and the module as it runs on a host.

The tests share one host; each starts from the set as the scenario made it. Kills are real: a command that the
module itself runs kills the module's own process.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.shared.playbook import run_playbook

SCENARIO = Path(__file__).resolve().parents[1]
STATE = "/var/lib/minato/config_tree/nginx"
ANSWER = "/etc/nginx/sites/answer.conf"
KILL_WHILE_RELOADING = "sh -c 'kill -9 $PPID'"
KILL_WHILE_VALIDATING = "sh -c 'kill -9 $(ps -o ppid= -p $PPID)'"


def ask() -> str:
    """What nginx answers from outside."""
    with urllib.request.urlopen("http://127.0.0.1:18400/", timeout=5) as response:
        return str(response.read().decode())


def answer(expected: str, seconds: float = 5) -> str:
    """As `ask`; a reload answers at once, but the old workers may take the next request still."""
    deadline = time.monotonic() + seconds
    while (said := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return said


def run(*arguments: str, **variables: Any) -> tuple[int, str]:
    """Run the scenario's two sets with other variables; return its code and output."""
    done = run_playbook(SCENARIO / "converge.yml", "--skip-tags=given", *arguments, **variables)
    return done.returncode, done.stdout


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+)", output)
    assert found, output
    return int(found.group(1))


def tree(host: Any) -> str:
    """Everything in /etc/nginx: kind, rights, owner, and content."""
    listed = "find . -printf '%p %y %m %u:%g %l\\n' | sort; find . -type f | sort | xargs sha256sum"
    return str(host.check_output(f"cd /etc/nginx && {{ {listed}; }}"))


def leftovers(host: Any) -> str:
    """Whatever a finished run should have tidied away."""
    return str(host.check_output(f"ls -d {STATE}/journal.json {STATE}/old /etc/.nginx.minato* 2>/dev/null; true"))


@pytest.fixture(scope="module")
def model(host: Any) -> str:
    """The host as the scenario makes it, also when the tests have run on it before."""
    code, output = run()
    assert code == 0, output
    return tree(host)


@pytest.fixture(autouse=True)
def converged(host: Any, model: str) -> None:
    """Each test finds the host so; a run is spared where the last test left it so."""
    if tree(host) != model or "Answer one" not in host.check_output("systemctl cat answer.service"):
        code, output = run()
        assert code == 0, output
    assert tree(host) == model
    assert answer("one") == "one"


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """Ask nginx all through a test; the list holds every answer, and every failure to answer."""
    answers: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                answers.append(ask())
            except OSError as error:
                answers.append(f"no answer: {error}")
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield answers
    over.set()
    watcher.join()


def test_files_links_directories_owners_and_modes_are_as_asked(host):
    assert host.file("/etc/nginx/conf.d/sites.conf").linked_to == ANSWER
    sites = host.file("/etc/nginx/sites")
    assert (sites.user, sites.group, sites.mode) == ("root", "reader", 0o750)
    secret = host.file("/etc/nginx/secret.env")
    assert (secret.user, secret.group, secret.mode) == ("reader", "reader", 0o400)
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert host.file("/etc/nginx/mime.types").exists, "what the package brought and nobody manages stays"
    assert "Description=Answer one" in host.check_output("systemctl cat answer.service")
    assert "MemoryMax=64M" in host.check_output("systemctl cat answer.service")


def test_a_second_run_changes_nothing(host):
    before = tree(host)
    _code, output = run()
    assert changed(output) == 0
    assert tree(host) == before


def test_a_bad_template_changes_nothing_and_the_validators_line_is_the_message(host, watched):
    before = tree(host)
    code, output = run(answer="two", directive="no_such_directive on;")
    assert code != 0
    assert 'unknown directive "no_such_directive" in /etc/nginx/conf.d/other.conf:4' in output
    assert "validation failed, nothing was changed: `nginx -t` (rc 1)" in output
    assert tree(host) == before
    assert leftovers(host) == ""
    assert set(watched) == {"one"}


def test_a_bad_unit_among_strangers_changes_nothing_either(host):
    code, output = run(answer="bad\nType=simple\nExecStart=/bin/true", validator="true", nginx_reload="true")
    assert code != 0
    assert "answer.service: Service has more than one ExecStart= setting" in output
    assert "Description=Answer one" in host.check_output("systemctl cat answer.service")


def test_a_set_that_the_service_refuses_is_put_back_and_served(host, watched):
    before = tree(host)
    code, output = run(answer="two", nginx_reload=f"sh -c 'systemctl reload nginx && ! grep two {ANSWER}'")
    assert code != 0
    assert "reload failed, the old set is back in place" in output
    assert "the old set was reloaded and is serving" in output
    assert tree(host) == before
    assert answer("one") == "one"
    assert set(watched) <= {"one", "two"}


def test_a_hand_edit_is_shown_once_saved_once_and_replaced(host):
    host.check_output(f"sed -i s/one/mine/ {ANSWER}")
    _code, output = run("--diff")
    assert '-        return 200 "mine";' in output
    assert '+        return 200 "one";' in output
    assert f"{ANSWER} was changed by hand" in output
    kept = host.check_output(f"grep -rl mine {STATE}/backup").split()
    assert len(kept) == 1
    assert kept[0].endswith(ANSWER)
    host.check_output(f"sed -i s/one/mine/ {ANSWER}")
    run()
    assert host.check_output(f"grep -rl mine {STATE}/backup").split() == kept
    assert host.file(STATE).mode == 0o700


def test_a_site_that_is_no_longer_wanted_goes_and_a_strangers_file_stays(host):
    host.check_output("touch /etc/nginx/conf.d/theirs.conf && chown reader /etc/nginx/conf.d/theirs.conf")
    code, output = run(both_sites=False)
    assert code == 0, output
    assert not host.file("/etc/nginx/conf.d/other.conf").exists
    assert host.file("/etc/nginx/conf.d/theirs.conf").user == "reader"
    host.check_output("rm /etc/nginx/conf.d/theirs.conf")


def test_a_run_killed_between_swap_and_reload_is_finished_by_the_next(host, watched):
    code, output = run(answer="two", nginx_reload=KILL_WHILE_RELOADING)
    assert code != 0
    assert '"phase": "swapped"' in host.file(f"{STATE}/journal.json").content_string
    assert '"two"' in host.file(ANSWER).content_string
    assert ask() == "one", "nginx was not told yet"
    code, output = run(answer="two")
    assert code == 0, output
    assert "an earlier run was cut short" in output
    assert answer("two") == "two"
    assert leftovers(host) == ""
    assert set(watched) <= {"one", "two"}


def test_a_run_killed_while_it_validates_leaves_nothing_behind_for_long(host, watched):
    before = tree(host)
    code, output = run(answer="two", validator=KILL_WHILE_VALIDATING)
    assert code != 0
    assert tree(host) == before
    assert leftovers(host) != ""
    code, output = run()
    assert code == 0, output
    assert tree(host) == before
    assert leftovers(host) == ""
    assert set(watched) == {"one"}


def test_a_unit_killed_between_swap_and_reload_is_finished_by_the_next(host):
    code, _output = run(answer="two", unit_reload=KILL_WHILE_RELOADING)
    assert code != 0
    journal = json.loads(host.file("/var/lib/minato/config_tree/unit/journal.json").content_string)
    assert journal["phase"] == "swapped"
    assert not journal["staged"], "files among strangers are renamed one by one"


def test_a_secret_is_in_its_file_and_nowhere_else(host):
    code, output = run("--diff", "-vvv", token="second-token-nobody-may-see")
    assert code == 0, output
    assert "second-token-nobody-may-see" in host.file("/etc/nginx/secret.env").content_string
    assert "+TOKEN=(hidden, changed)" in output
    # The play's own --extra-vars hold the value here; what Ansible prints about the host must not.
    assert "token-nobody-may-see" not in output
    found = host.run("journalctl --no-pager | grep -c token-nobody-may-see").stdout.strip()
    assert found == "0"
    assert host.run(f"grep -r token-nobody-may-see {STATE} --include=*.json").rc == 1


def test_a_missing_owner_is_named_before_anything_changes_and_predicted_in_check_mode(host):
    code, output = run(unit_owner="nobody-yet", answer="two", validator="true", nginx_reload="")
    assert code != 0
    missing = "user nobody-yet does not exist (wanted for /etc/systemd/system/answer.service)"
    assert f"nothing was changed: {missing}" in output
    assert "Description=Answer one" in host.check_output("systemctl cat answer.service")
    code, output = run("--check", unit_owner="nobody-yet")
    assert code == 0, output
    assert changed(output) > 0
