# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python's versions and virtual environments on a host: what is there, and each change. A stop does no harm."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import shutil
import subprocess
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.minato.fleet.plugins.module_utils import _python_venv as venvs
from ansible_collections.minato.fleet.plugins.module_utils._python_venv import RefusedError
from ansible_collections.minato.fleet.plugins.module_utils._python_venv_interpreters import (
    BUILDS,
    OTHER,
    PACKAGE,
    STANDALONE,
    Slot,
    Step,
    build_version,
    newest,
    package_binary,
)

CACHE = "/var/cache/minato-venv"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SYSTEM_PYTHON = "/usr/bin/python3"
_EXACT = "import platform; print(platform.python_version())"


class FailedError(Exception):
    """Something on the host went wrong; the message holds the last lines of what was said."""


class Account(NamedTuple):
    """A user as far as running a command needs it."""

    name: str
    uid: int
    gid: int


class Host:
    """This host."""

    def __init__(self, directory: str, uv_directory: str, environment: Mapping[str, Any]) -> None:
        """Take where versions and uv live, and what each tool is told by its environment."""
        self._directory = directory
        self._uv_directory = uv_directory
        self._environment = {key: str(value) for key, value in environment.items()}
        self.uv = f"{uv_directory}/bin/uv"

    # Interpreters

    def uv_version(self) -> str:
        """The version of uv behind the link, empty for none."""
        target = os.path.realpath(self.uv)
        found = os.path.relpath(target, os.path.realpath(self._uv_directory)).split(os.sep)
        return found[0] if os.access(target, os.X_OK) and found[1:] == ["bin", "uv"] else ""

    def slot(self, version: str) -> Slot:
        """What is at a version's place."""
        place = f"{self._directory}/{version}"
        if os.path.islink(place):
            target = os.readlink(place)
            name = target[len(BUILDS) + 1 :] if target.startswith(BUILDS + "/") else ""
            if not name:
                return Slot(OTHER, target)
            return Slot(STANDALONE, name) if os.path.exists(f"{place}/bin/python3") else Slot()
        if not os.path.isdir(place):
            return Slot(OTHER, "a file") if os.path.lexists(place) else Slot()
        found = {
            os.path.relpath(os.path.join(top, name), place) for top, _dirs, files in os.walk(place) for name in files
        }
        if found - {"bin/python3"}:
            return Slot(OTHER, min(found - {"bin/python3"}))
        link = f"{place}/bin/python3"
        if not os.path.lexists(link):
            return Slot()
        return Slot(PACKAGE, os.readlink(link)) if os.path.islink(link) else Slot(OTHER, "bin/python3")

    def exact_version(self, version: str, expected: Slot) -> str:
        """The release and the place of a version of Python, as a build's inputs name it; empty where there is none."""
        python = venvs.python_path(version, self._directory)
        if not os.path.exists(python) and expected.kind == PACKAGE:
            python = expected.target
        real = os.path.realpath(python)
        if not os.path.exists(real):
            return ""
        done = subprocess.run(
            [real, "-I", "-c", _EXACT], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        if done.returncode:
            raise FailedError(f"{python} does not run here: {venvs.last_lines(done.stdout, [])}")
        return f"{done.stdout.strip()} ({real})"

    def take(self, step: Step, mirror: str, downloads: str) -> None:
        """Carry out one step of the interpreters' plan."""
        if step.action == "uv":
            self._install_uv(step.spec)
        elif step.action == "link":
            self._link_package(step.spec)
        else:
            self._install_build(step.spec, mirror, downloads)

    def _install_uv(self, version: str) -> None:
        place = f"{self._uv_directory}/{version}"
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(f"{self._uv_directory}/bin", exist_ok=True)
        pip = [f"{place}/bin/python", "-m", "pip", "install", "--no-input", "--only-binary", ":all:", f"uv=={version}"]
        try:
            self._must([SYSTEM_PYTHON, "-m", "venv", place], "could not make a place for uv")
            self._must([*pip, "--disable-pip-version-check", "--no-cache-dir"], f"pip could not install uv {version}")
            self._must([f"{place}/bin/uv", "--version"], f"uv {version} does not run here")
        except FailedError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        _link(self.uv, f"../{version}/bin/uv")
        for name in os.listdir(self._uv_directory):
            if name not in (version, "bin"):
                shutil.rmtree(f"{self._uv_directory}/{name}", ignore_errors=True)

    def _link_package(self, version: str) -> None:
        target = package_binary(version)
        self._must([target, "--version"], f"{target} does not run here")
        place = f"{self._directory}/{version}"
        os.makedirs(self._directory, exist_ok=True)
        if os.path.isdir(place) and not os.path.islink(place):
            os.makedirs(f"{place}/bin", exist_ok=True)
            _link(f"{place}/bin/python3", target)
            return
        new = f"{self._directory}/.{version}.new"
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(f"{new}/bin")
        os.symlink(target, f"{new}/bin/python3")
        self._replace(place, new)

    def _install_build(self, spec: str, mirror: str, downloads: str) -> None:
        builds = f"{self._directory}/{BUILDS}"
        os.makedirs(builds, exist_ok=True)
        command = [self.uv, "python", "install", "--system-certs", "--no-progress", "--no-bin", "--install-dir", builds]
        # Not as arguments: an address may hold a password.
        told = {"UV_PYTHON_INSTALL_MIRROR": mirror, "UV_PYTHON_DOWNLOADS_JSON_URL": downloads}
        told = {key: value for key, value in told.items() if value}
        self._must([*command, spec], f"uv could not get a standalone Python {spec}", told)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{builds}/.lock")  # everybody may write to it, and so keep the next one waiting
        name = newest(os.listdir(builds), spec)
        python = f"{builds}/{name}/bin/python3"
        if not name or not os.path.exists(python):
            raise FailedError(f"uv installed Python {spec}, but there is no bin/python3 of it in {builds}")
        self._must([python, "-I", "-c", _EXACT], f"the standalone Python {build_version(name)} does not run here")
        version = ".".join(spec.split(".")[:2])
        new = f"{self._directory}/.{version}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        os.symlink(f"{BUILDS}/{name}", new)
        self._replace(f"{self._directory}/{version}", new)

    def _replace(self, place: str, new: str) -> None:
        """Put a link or directory in its place. A directory cannot be replaced by one rename: it goes aside first."""
        if os.path.isdir(place) and (not os.path.islink(place) or not os.path.islink(new)):
            old = f"{new[:-4]}.old"
            if os.path.islink(place):
                os.unlink(place)
            else:
                shutil.rmtree(old, ignore_errors=True)
                os.rename(place, old)
            os.rename(new, place)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(new, place)

    # Virtual environments

    def account(self, name: str, check_mode: bool) -> Account:
        """A user; one that is only missing yet will do in check mode."""
        try:
            return self._account(name)
        except KeyError:
            if check_mode:
                return Account(name, 0, 0)
            raise RefusedError(f"there is no user {name} on this host: make it first") from None

    def group(self, name: str, account: Account, check_mode: bool) -> int:
        """The number of a group, the user's own where no name is given."""
        if not name:
            return account.gid
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            if check_mode:
                return 0
            raise RefusedError(f"there is no group {name} on this host: make it first") from None

    def lock(self, project: str) -> str:
        """The lock of a project; raises RefusedError where it has none."""
        if not os.path.isfile(f"{project}/pyproject.toml"):
            raise RefusedError(
                f"{project} has no pyproject.toml: name the directory that has it, or requirements files"
            )
        for name in venvs.LOCKS:
            if os.path.isfile(f"{project}/{name}"):
                return name
        raise RefusedError(
            f"{project} has pyproject.toml, but neither {' nor '.join(venvs.LOCKS)}: run `uv lock` there and commit"
            " uv.lock, or name requirements files"
        )

    def inputs(self, venv: Mapping[str, Any], python: str) -> dict[str, str]:
        """What a virtual environment is built from: each thing's version or digest. Raises RefusedError."""
        found = {"python": python, "tool": venv["tool"]}
        for key in ("require_hashes", "only_binary"):
            if venv[key]:
                found[key] = "yes"
        files = list(venv["requirements"])
        if venv["project"]:
            files = [f"{venv['project']}/{name}" for name in ("pyproject.toml", self.lock(venv["project"]))]
        seen: set[str] = set()
        while files:
            path = os.path.normpath(files.pop(0))
            if path in seen:
                continue
            seen.add(path)
            content = _content(path, venv["path"])
            found[path] = hashlib.sha256(content).hexdigest()[:16]
            if not venv["project"]:
                files += [os.path.join(os.path.dirname(path), name) for name in self._requirements(path, content, venv)]
        if venv["wheels"]:
            found.update(_wheels(venv["wheels"]))
        return found

    def _requirements(self, path: str, content: bytes, venv: Mapping[str, Any]) -> list[str]:
        text = content.decode("utf-8", "replace")
        names = venvs.loose(text) if venv["require_hashes"] else []
        if names:
            raise RefusedError(
                f"virtual environment {venv['path']}: {path} does not pin {', '.join(names)} by version and hash, as"
                " require_hashes asks: write it with `uv pip compile --generate-hashes`, or take require_hashes away"
            )
        return [name for name in venvs.includes(text) if "://" not in name]

    def record(self, path: str) -> dict[str, str] | None:
        """The inputs of the build that is in service; None where there is none that works."""
        try:
            with open(f"{path}/{venvs.RECORD}", encoding="utf-8") as stream:
                found = json.load(stream)
        except (OSError, ValueError):
            return None
        works = os.path.islink(path) and os.path.exists(f"{path}/bin/python")
        return {str(key): str(value) for key, value in found.items()} if works and isinstance(found, dict) else None

    def check_place(self, path: str) -> None:
        """Refuse a path at which there is something that is no virtual environment."""
        if os.path.lexists(path) and not os.path.exists(f"{path}/pyvenv.cfg") and not self._dangling(path):
            raise RefusedError(f"{path} is there, and no virtual environment: move it away, or name another path")

    def _dangling(self, path: str) -> bool:
        """Whether it is our link, to a build that somebody removed or damaged."""
        return os.path.islink(path) and bool(venvs.build_numbers(path, [os.path.basename(os.readlink(path))]))

    def build(self, venv: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Build anew beside what is in service, and put it in its place once it is whole."""
        path, account = venv["path"], self._account(venv["owner"])
        gid = self.group(venv["group"], account, False)
        parent = os.path.dirname(path)
        os.makedirs(parent, exist_ok=True)
        live = os.path.basename(os.readlink(path)) if os.path.islink(path) else ""
        numbers = venvs.build_numbers(path, os.listdir(parent))
        number = max(numbers, default=0) + 1
        new = f"{parent}/{venvs.build_name(path, number)}"
        _make(new, account.uid, gid)
        hidden = venvs.secrets({**self._environment, **venv["environment"]})
        try:
            line = venvs.install_command(
                venvs.python_path(venv["python"], self._directory),
                venv["tool"],
                venv["requirements"],
                venv["project"],
                self.lock(venv["project"]) if venv["project"] else "",
                venv["require_hashes"],
                venv["wheels"],
                venv["only_binary"],
                new,
                self.uv,
            )
            done = self._run(["sh", "-ec", line], account._replace(gid=gid), venv["environment"])
            if done.returncode:
                raise FailedError(
                    f"virtual environment {path} could not be built, as {account.name}; what was in service still is."
                    f" The last lines:\n{venvs.last_lines(done.stdout, hidden)}"
                    + venvs.hint(done.stdout, venv["only_binary"], venv["wheels"])
                )
            self._write_record(new, account._replace(gid=gid), inputs)
        except FailedError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if live or not os.path.lexists(path):
            _link(path, os.path.basename(new))
        else:
            # Made by hand: it is kept as the first build.
            first = f"{parent}/{venvs.build_name(path, 0)}"
            shutil.rmtree(first, ignore_errors=True)
            os.rename(path, first)
            live = os.path.basename(first)
            _link(path, os.path.basename(new))
        # Processes may still run from the one before.
        for name in os.listdir(parent):
            if venvs.build_numbers(path, [name]) and name not in (live, os.path.basename(new)):
                shutil.rmtree(f"{parent}/{name}", ignore_errors=True)

    def _write_record(self, build: str, account: Account, inputs: Mapping[str, str]) -> None:
        """Written by the owner, whose directory it is: root follows no link that somebody put there."""
        text = json.dumps(dict(inputs), indent=2, sort_keys=True) + "\n"
        done = self._run(["tee", f"{build}/{venvs.RECORD}"], account, text=text)
        if done.returncode:
            raise FailedError(f"{build}/{venvs.RECORD} could not be written: {venvs.last_lines(done.stdout, [])}")

    # Commands

    def _account(self, name: str) -> Account:
        entry = pwd.getpwnam(name)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def _must(self, command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> None:
        done = self._run(command, self._account("root"), environment)
        if done.returncode:
            hidden = venvs.secrets({**self._environment, **(environment or {})})
            raise FailedError(f"{what}. The last lines:\n{venvs.last_lines(done.stdout, hidden)}")

    def _run(
        self, command: Sequence[str], account: Account, environment: Mapping[str, Any] | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run as a user. The environment holds what was asked for and nothing of whoever runs this."""
        home = f"{CACHE}/{account.name}"
        if not os.path.isdir(home):
            os.makedirs(CACHE, exist_ok=True)
            _make(home, account.uid, account.gid, 0o700)
        trust = {"SSL_CERT_FILE": CERTIFICATES, "PIP_CERT": CERTIFICATES} if os.path.exists(CERTIFICATES) else {}
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": home,
            "UV_CACHE_DIR": f"{home}/uv",
            **trust,
            **self._environment,
            **{key: str(value) for key, value in (environment or {}).items()},
        }
        drop = [f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups", "--no-new-privs"]
        words = ["setpriv", *drop, "--", *command] if account.uid else list(command)
        try:
            return subprocess.run(
                words,
                check=False,
                cwd="/",
                env=variables,
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            return subprocess.CompletedProcess(words, 127, f"{error.filename or words[0]}: {error.strerror}")


def _content(path: str, venv: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise RefusedError(
            f"virtual environment {venv}: {path} cannot be read ({error.strerror}): put it there first, or name"
            " another file"
        ) from None


def _wheels(directory: str) -> dict[str, str]:
    """The digest of each file that may be installed."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise RefusedError(
            f"wheels {directory} cannot be read ({error.strerror}): put the directory there first"
        ) from None
    names = [name for name in names if name.endswith((".whl", ".tar.gz", ".zip"))]
    if not names:
        raise RefusedError(
            f"wheels {directory} holds no wheel: pip download --dest {directory} on a host with the same Python"
            " fills it"
        )
    return {f"{directory}/{name}": _digest(f"{directory}/{name}") for name in names}


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()[:16]


def _make(path: str, uid: int, gid: int, mode: int = 0o755) -> None:
    """Make a directory and give it away, whatever somebody puts in its place meanwhile."""
    os.mkdir(path, 0o700)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid == os.geteuid():
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
    finally:
        os.close(handle)


def _link(path: str, target: str) -> None:
    """Make a link, or have it lead elsewhere, by one rename."""
    new = f"{os.path.dirname(path)}/.{os.path.basename(path)}.new"
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(target, new)
    os.rename(new, path)
