"""Deploy keys and host keys: what is taken for one, and how ssh gets it. ssh itself is played, git is not."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils import _git_ssh
from ansible_collections.minato.fleet.plugins.module_utils._git import Git, GitError

SERVER = "git.medical.test"
REPOSITORY = f"ssh://git@{SERVER}:2222/medical-api.git"
HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()
# Writes down how it was called and what lay in the files that it was given, then does what it is told.
SSH = f"""#!{sys.executable}
import json, os, stat, sys
paths = [word.partition("=")[2] or word for word in sys.argv if "/proc/" in word]
files = [[open(path).read(), stat.S_IMODE(os.stat(path).st_mode), os.readlink(path)] for path in paths]
with open(os.environ["PLAYED"], "w") as stream:
    json.dump({{"words": sys.argv[1:], "files": files, "environment": dict(os.environ), "pid": os.getpid()}}, stream)
if os.environ.get("HANGS"):
    import time
    time.sleep(60)
sys.stderr.write(os.environ["SAYS"])
sys.exit(255)
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A key as people make it."""
    return made(tmp_path_factory.mktemp("key") / "id_ed25519")


def made(path: Path, *arguments: str) -> str:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", str(path), *arguments]
    subprocess.run(words, check=True)
    return path.read_text()


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the played ssh writes down how it was called."""
    tool = tmp_path / "ssh"
    tool.write_text(SSH)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PLAYED", str(tmp_path / "played.json"))
    monkeypatch.setenv("SAYS", "")
    return tmp_path / "played.json"


def asked(key: str = "", host_keys: tuple[str, ...] = (), repository: str = REPOSITORY) -> str:
    """What git's failure to ask is said to be."""
    with pytest.raises(GitError) as failed:
        Git("git", repository, key, host_keys).refs("main")
    return str(failed.value)


@pytest.mark.parametrize(
    ("repository", "server"),
    [
        ("ssh://git@git.test/a.git", "git.test"),
        ("ssh://git.test:2222/a.git", "git.test"),
        ("ssh://git@[2001:db8::1]:22/a.git", "2001:db8::1"),
        ("git@Git.Test:team/a.git", "git.test"),
        ("git.test:a.git", "git.test"),
        ("https://git.test/a.git", ""),
        ("git://git.test/a.git", ""),
        ("file:///srv/a.git", ""),
        ("/srv/a:b.git", ""),
        ("ssh://-oProxyCommand=x/a.git", ""),
        ("ext::sh -c x", ""),
        ("", ""),
    ],
)
def test_which_repositories_are_asked_over_ssh(repository: str, server: str) -> None:
    assert _git_ssh.host(repository) == server


def test_a_key_is_known_by_what_its_operators_see(key: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(key)
    path.chmod(0o600)
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], capture_output=True, text=True, check=True).stdout
    assert _git_ssh.read_key(key).fingerprint == listed.split()[1]


@pytest.mark.parametrize("spoil", ["\r\n", " ", "\n    ", "\\n", "\n\n"])
def test_a_key_whose_lines_have_suffered_is_put_right(key: str, spoil: str) -> None:
    assert _git_ssh.read_key(key).text == key
    assert _git_ssh.read_key(f"\n {spoil.join(key.splitlines())}").text == key


def test_what_is_no_key_is_refused(key: str, tmp_path: Path) -> None:
    pem = made(tmp_path / "pem", "-t", "ecdsa", "-m", "PEM")
    lines = key.splitlines()
    refused = {
        "is the public half of a key. Write the private one": (tmp_path / "pem.pub").read_text(),
        "is not in OpenSSH's format. `ssh-keygen -p -f FILE` rewrites it": pem,
        "is not a private key. Write the whole file": "s3cret",
        "is not whole. Write all lines of the file": "\n".join([lines[0], *lines[2:]]),
        "is not whole. Write all lines": "\n".join(lines[:-1]),
        "is not whole. Write": f"{lines[0]}\n{lines[-1]}",
        "is not whole": f"{lines[0]}\nno base64\n{lines[-1]}",
        "has a passphrase, and nobody is there to type it": made(tmp_path / "closed", "-N", "passphrase"),
    }
    for sentence, text in refused.items():
        with pytest.raises(ValueError, match="^" + sentence.replace("`", ".")) as found:
            _git_ssh.read_key(text)
        assert not any(line in str(found.value) for line in text.splitlines()[1:-1])


@pytest.mark.parametrize(
    "line",
    [
        HOST_KEY,
        f"{HOST_KEY} a remark",
        f"  {SERVER} {HOST_KEY}\n",
        f"Git.Medical.Test,192.0.2.7 {HOST_KEY}",
        f"[{SERVER}]:2222 {HOST_KEY}",
        f"|1|c2FsdA==|aGFzaA== {HOST_KEY}",
    ],
)
def test_a_host_key_may_be_a_line_or_the_key_alone(line: str) -> None:
    assert _git_ssh.known_host(line, SERVER) == f"{SERVER} {HOST_KEY}\n"
    assert _git_ssh.host_key_mistakes(REPOSITORY, [line]) == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "is not a host key"),
        (
            "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDTDlnhXs",
            "is not a host key, of which a fingerprint is not enough. Write it as",
        ),
        (f"{SERVER} ssh-ed25519 AAAA", "is not a host key"),
        (f"{SERVER} {HOST_KEY.replace('ed25519', 'rsa')}", "is not a host key"),
        (f"@revoked {SERVER} {HOST_KEY}", "is not a host key"),
        (
            f"other.test {HOST_KEY}",
            f"is a key of other.test, and the repository is at {SERVER}. Write it as `{SERVER} ssh-",
        ),
        (f"{SERVER} {HOST_KEY}\n{SERVER} {HOST_KEY}", "has several lines. Write each as an entry of its own"),
    ],
)
def test_what_is_no_host_key_is_refused(line: str, sentence: str) -> None:
    (mistake,) = _git_ssh.host_key_mistakes(REPOSITORY, [line])
    assert mistake.startswith(f"repository_host_keys[0] {sentence}")


def test_ssh_finds_key_and_host_keys_in_memory_alone(key: str, played: Path) -> None:
    asked(key, (HOST_KEY,))
    call = json.loads(played.read_text())
    (own, own_mode, own_place), (known, known_mode, known_place) = call["files"]
    assert (own, own_mode, known, known_mode) == (key, 0o600, f"{SERVER} {HOST_KEY}\n", 0o600)
    assert {own_place, known_place} == {"/memfd:minato-fleet (deleted)"}
    settings = {word for option, word in zip(call["words"], call["words"][1:], strict=False) if option == "-o"}
    assert settings >= {"IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=yes", "BatchMode=yes"}
    assert settings >= {f"HostKeyAlias={SERVER}", "GlobalKnownHostsFile=/dev/null", "ControlPath=none"}
    line = key.splitlines()[1]
    assert line not in json.dumps([call["words"], call["environment"]])
    assert not any("memfd:minato" in os.readlink(path) for path in open_files())


def test_host_keys_count_without_a_key_too(played: Path) -> None:
    asked("", (HOST_KEY,))
    call = json.loads(played.read_text())
    assert [text for text, _mode, _place in call["files"]] == [f"{SERVER} {HOST_KEY}\n"]
    assert {"StrictHostKeyChecking=yes", f"HostKeyAlias={SERVER}"} <= set(call["words"])
    assert "-i" not in call["words"]


def open_files() -> list[str]:
    """This process's, but the one that lists them."""
    return [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]


def test_without_either_ssh_is_called_as_before(played: Path) -> None:
    asked()
    call = json.loads(played.read_text())
    assert call["files"] == []
    assert call["words"][:2] == ["-o", "BatchMode=yes"]
    assert "StrictHostKeyChecking=yes" not in call["words"]


def test_a_server_that_does_not_answer_leaves_no_ssh_behind(
    key: str, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANGS", "yes")
    with pytest.raises(GitError, match=f"ls-remote: no answer from {REPOSITORY} within 2 s"):
        Git("git", REPOSITORY, key).ask("ls-remote", REPOSITORY, timeout=2)
    ssh = Path(f"/proc/{json.loads(played.read_text())['pid']}/cmdline")
    for _try in range(50):
        if not ssh.exists() or not ssh.read_bytes():
            return
        time.sleep(0.1)
    pytest.fail(f"ssh runs on: {ssh.read_bytes()!r}")


@pytest.mark.parametrize(
    ("says", "with_key", "with_host_key", "sentence"),
    [
        (
            "Host key verification failed.",
            True,
            True,
            f"{SERVER} shows another host key than those of repository_host_keys",
        ),
        (
            "Host key verification failed.",
            True,
            False,
            f"{SERVER} shows a host key that is not known here. Write those that its operators publish: `repository_",
        ),
        ("git@x: Permission denied (publickey).", True, True, f"{SERVER} does not let the deploy key SHA256:"),
        (
            "git@x: Permission denied (publickey).",
            False,
            False,
            f"{SERVER} does not let this account in. Give the app a",
        ),
        ("ERROR: Repository not found.", True, True, "ERROR: Repository not found."),
    ],
)
def test_a_refusal_says_what_to_write(
    key: str,
    played: Path,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    with_key: bool,
    with_host_key: bool,
    sentence: str,
) -> None:
    monkeypatch.setenv("SAYS", says)
    said = asked(key if with_key else "", (HOST_KEY,) if with_host_key else ())
    assert said.startswith(f"ls-remote of {REPOSITORY}: {sentence}")
    assert says in said
    assert played.exists()


def test_what_is_not_fit_is_told_before_anybody_is_asked(key: str, played: Path) -> None:
    for sentence, arguments in {
        f"{REPOSITORY}: the deploy key is not a private key": ("s3cret", (), REPOSITORY),
        f"{REPOSITORY}: repository_host_keys[0] is not a host key": (key, ("AAAA",), REPOSITORY),
        "https://git.test/a: the deploy key has no use": (key, (), "https://bot:p@git.test/a"),
    }.items():
        assert asked(*arguments).startswith(sentence)
    assert not played.exists()
