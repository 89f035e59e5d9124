# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a virtual environment is built from, and the command that builds it. Nothing here touches anything.

A virtual environment is never moved once it is built: its scripts name it by its full path. So each build gets a
directory of its own, and the path that people know is a link to the newest. What it was built from is recorded in it.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

PYTHON = "/opt/python"
UV = "/opt/uv/bin/uv"
LOCKS = ("uv.lock", "pylock.toml")  # what a project pins its packages with, the first that is there
RECORD = "minato-inputs.json"  # in each build: {what: version or digest}
VERSION = re.compile(r"^3\.[0-9]{1,2}$")
SECRET_MIN = 6  # shorter values are no secrets, and would black out half of a message

_INCLUDE = re.compile(r"^(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?=[^\s-]))(?P<path>\S.*)$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_SECRET_KEY = re.compile(r"password|passwd|token|secret|credential|(^|_)key$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://(?P<user>[^\s/:@]*)(?::(?P<password>[^\s/@]*))?@", re.IGNORECASE)


class RefusedError(Exception):
    """The input cannot be made true. The message says what, where and what to write instead."""


class Difference(NamedTuple):
    """One thing that a virtual environment is built from and that is not what it was."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'absent'} -> {self.after or 'absent'}"


def python_path(version: str, directory: str = PYTHON) -> str:
    """Where every host has a version of Python (``3.11``), whatever it came from."""
    return f"{directory}/{version}/bin/python3"


def install_command(
    python: str,
    tool: str = "pip",
    requirements: Sequence[str] = (),
    project: str = "",
    lock: str = LOCKS[0],
    require_hashes: bool = False,
    wheels: str = "",
    only_binary: bool = False,
    venv: str = ".venv",
    uv: str = UV,
) -> str:
    """Return a shell line that makes a virtual environment and installs into it what is pinned.

    Relative paths count from the working directory; a release is built with the defaults. ``project`` is a directory
    with pyproject.toml and ``lock``. ``wheels``: a directory; then no index is asked. Raises RefusedError.
    """
    wrong = contradictions(tool, requirements, project, lock, wheels)
    if wrong:
        raise RefusedError("; ".join(wrong))
    offline = ["--no-index", "--find-links", wheels] if wheels else []
    if tool == "pip":
        install = [f"{venv}/bin/python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        install += [*_files(requirements), *(["--require-hashes"] if require_hashes else []), *offline]
        install += ["--only-binary", ":all:"] if only_binary else []
        return f"{shlex.join([python, '-m', 'venv', venv])} && {shlex.join(install)}"

    common = ["--no-python-downloads", "--system-certs", "--no-progress"]
    # Not hard links into the cache: whoever gives a release to root would give away the cache as well.
    linked = ["--link-mode", "copy", "--compile-bytecode"]
    make = shlex.join([uv, "venv", *common, "--python", python, venv])
    install = [uv, "pip", "install", *common, "--python", f"{venv}/bin/python", *linked]
    install += [*offline, *(["--no-build"] if only_binary else [])]
    if not project:
        install += [*_files(requirements), *(["--require-hashes"] if require_hashes else [])]
        return f"{make} && {shlex.join(install)}"
    if lock == "pylock.toml":
        return f"{make} && {shlex.join([*install, *_files([_join(project, lock)])])}"
    if wheels:
        exported = f"{venv}/requirements.txt"
        export = [uv, "export", *common, "--offline", "--quiet", "--project", project, "--locked", "--no-dev"]
        export += ["--no-emit-project", "--output-file", exported]
        return f"{make} && {shlex.join(export)} && {shlex.join([*install, *_files([exported]), '--require-hashes'])}"
    sync = [uv, "sync", *common, "--project", project, "--locked", "--no-dev", "--python", python, *linked]
    # The working directory of the shell, as uv would count from the project's.
    place = f"export UV_PROJECT_ENVIRONMENT={shlex.quote(venv) if venv.startswith('/') else _here(venv)}"
    # The project itself is no wheel, so it comes in a second step.
    first = f"{shlex.join([*sync, '--no-build', '--no-install-project'])} && " if only_binary else ""
    return f"{place} && {first}{shlex.join(sync)}"


def _here(path: str) -> str:
    return f'"$PWD"/{shlex.quote(path)}'


def _join(directory: str, name: str) -> str:
    return name if directory in ("", ".") else f"{directory}/{name}"


def _files(paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in ("--requirement", path)]


def contradictions(tool: str, requirements: Sequence[str], project: str, lock: str, wheels: str) -> list[str]:
    """Say what of a description excludes each other."""
    if bool(requirements) == bool(project):
        return [
            ("requirements and project exclude each other" if project else "neither requirements nor project is given")
            + ": name requirements files, or a project directory with pyproject.toml and a lock"
        ]
    if project and tool == "pip":
        remedy = "write tool: uv, or export the lock (uv export --format requirements.txt) and name that file"
        return [f"pip cannot install from a project's lock: {remedy} in requirements"]
    if project and lock == "pylock.toml" and wheels:
        return [
            "pylock.toml names the address of each file, wheels are a directory: lock with uv.lock, or leave wheels out"
        ]
    return []


def check(venvs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what can never be made true: raises RefusedError with every mistake, one a line."""
    wrong = []
    paths = [venv["path"].rstrip("/") for venv in venvs]
    for venv, path in zip(venvs, paths):
        where = f"virtual environment {venv['path']}"
        if not path.startswith("/") or path.count("/") < 2:
            wrong.append(f"{where}: path must be absolute and two levels deep, such as /opt/app/venv")
        if not VERSION.match(venv["python"]):
            wrong.append(f"{where}: python {venv['python']!r} is no version: write the first two numbers, such as 3.11")
        named = [*venv["requirements"], *(venv[key] for key in ("wheels", "project") if venv[key])]
        wrong += [f"{where}: {each} must be absolute" for each in named if not each.startswith("/")]
        found = contradictions(venv["tool"], venv["requirements"], venv["project"], "", venv["wheels"])
        wrong += [f"{where}: {each}" for each in found]
    wrong += [
        f"virtual environment {path}: listed {paths.count(path)} times"
        for path in sorted({*paths})
        if paths.count(path) > 1
    ]
    if wrong:
        raise RefusedError("\n".join(wrong))


# Requirements files


def logical_lines(text: str) -> list[str]:
    """The lines of a requirements file: continued ones joined, comments and empty ones gone."""
    joined = re.sub(r"\\\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def includes(text: str) -> list[str]:
    """The files that a requirements file names, as it writes them."""
    found = (_INCLUDE.match(line) for line in logical_lines(text))
    return [match["path"].strip() for match in found if match]


def loose(text: str) -> list[str]:
    """The requirements of a file that no hash holds to one version."""
    found = []
    for line in logical_lines(text):
        if line.startswith("-") and not line.startswith(("-e", "--editable")):
            continue
        pinned = re.search(r"===?|\s@\s", line.split("--hash", 1)[0].split(";", 1)[0])
        if not pinned or "--hash=" not in line:
            name = _NAME.match(line)
            found.append(name[0] if name else line)
    return found


# What a build is made from


def compare(before: Mapping[str, str] | None, after: Mapping[str, str]) -> list[Difference]:
    """What differs between the inputs of the build that is there (None: no usable one) and those of today."""
    if before is None:
        return [Difference("virtual environment", "", "built")]
    return [
        Difference(what, before.get(what, ""), after.get(what, ""))
        for what in sorted({*before, *after})
        if before.get(what) != after.get(what)
    ]


def build_name(path: str, number: int) -> str:
    """The name of a build, beside the link ``path``."""
    return f".{path.rsplit('/', 1)[1]}-{number:04d}"


def build_numbers(path: str, names: Iterable[str]) -> list[int]:
    """The numbers of the builds among the names of a directory, in their order."""
    pattern = re.compile(rf"^{re.escape(build_name(path, 0)[:-4])}(?P<number>[0-9]{{4,}})$")
    return sorted(int(found["number"]) for found in map(pattern.match, names) if found)


# Secrets


def secrets(environment: Mapping[str, Any]) -> list[str]:
    """The values in an environment that must not be shown: passwords of addresses, and what its name calls a secret."""
    found = set()
    for key, value in environment.items():
        text = str(value)
        if _SECRET_KEY.search(key):
            found.add(text)
        for match in _URL_PASSWORD.finditer(text):
            # A token may stand alone, before the @.
            found.add(match["password"] or match["user"])
    return sorted((text for text in found if len(text) >= SECRET_MIN), key=len, reverse=True)


def last_lines(output: str, hidden: Iterable[str], count: int = 20) -> str:
    """The end of a tool's output, without secrets."""
    text = "\n".join(output.strip().splitlines()[-count:]) or "(it said nothing)"
    for value in hidden:
        text = text.replace(value, "********")
    return _URL_PASSWORD.sub(lambda match: match[0].split("://")[0] + "://********@", text)


def hint(output: str, only_binary: bool, wheels: str) -> str:
    """What to do about a failure that is often seen; empty for any other."""
    if not re.search(
        r"No matching distribution|no version|no wheels|no usable wheels|not found in the|unsatisfiable", output
    ):
        return ""
    if wheels:
        fill = f"pip download --only-binary :all: --dest {wheels} on a host with the same Python fills it"
        return f"\n{wheels} lacks it: {fill}"
    if only_binary:
        return (
            "\nonly_binary allows wheels alone: take another version, offer one in wheels, or set only_binary to false"
        )
    return ""
