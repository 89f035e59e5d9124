# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One command of a release (install, build, migrate, a hook), run as the app's user in a unit with a memory limit."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any, Iterable, NamedTuple

TAIL = 40  # lines of output that a failure shows
STOP_TIMEOUT = 10  # seconds that a command which took too long has to end
SECRET_MIN = 6  # shorter values (ports, true, info) are no secrets, and would black out half of the output
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOCKFILES = ("package-lock.json", "npm-shrinkwrap.json")
NOISE = re.compile(r"^(Running as unit|Main processes terminated with|(Service|CPU|Memory|IP|IO) [a-z ]+): ")
RESULT = re.compile(r"^Finished with result: (?P<result>\S+)$", re.MULTILINE)
URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@")


def unit(name: str) -> str:
    """The unit of an app's steps: one name, so that a step left behind by a killed run is found and stopped."""
    return f"minato-app-{name}.service"


def home(name: str) -> str:
    """HOME of an app's steps: private, and kept (npm's cache makes the next install quick)."""
    return f"/var/cache/minato-app/{name}"


# What serves meanwhile comes first.
BEHIND = ("Nice=10", "CPUWeight=20", "IOWeight=20")


class Order(NamedTuple):
    """What is to be run, where, with which variables; ``timeout`` in seconds.

    env_files: environment files as of systemd, which reads them.
    """

    command: str
    directory: str
    environment: dict[str, Any]
    env_files: list[str]
    timeout: int


def arguments(app: dict[str, Any], order: Order) -> list[str]:
    """The arguments of systemd-run. Values of the environment files are in none of them."""
    variables = {
        "LANG": "C.UTF-8",
        **order.environment,
        "HOME": home(app["name"]),
        "PATH": ":".join([*app["path_prefix"], SYSTEM_PATH]),
    }
    properties = [
        "WorkingDirectory=" + order.directory,
        "CacheDirectory=minato-app/" + app["name"],
        "CacheDirectoryMode=0700",
        "MemoryMax=" + app["build_memory_max"],
        *BEHIND,
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        f"RuntimeMaxSec={order.timeout}",
        f"TimeoutStopSec={STOP_TIMEOUT}",
        "UMask=0027",
        *("EnvironmentFile=" + path for path in order.env_files),
    ]
    words = ["--pipe", "--wait", "--collect", "--unit=" + unit(app["name"]), "--uid=" + app["user"]]
    words += ["--property=" + text for text in properties]
    words += ["--setenv={}={}".format(*pair) for pair in variables.items()]
    # systemd expands $NAME in a command line; the shell shall do it.
    return [*words, "--", "/bin/sh", "-ec", order.command.replace("$", "$$")]


def missing_lockfile(command: str, files: Iterable[str]) -> str | None:
    """Why the command cannot work without a lockfile, or None."""
    if not re.search(r"\bnpm (ci|clean-install)\b", command) or set(files) & set(LOCKFILES):
        return None
    return (
        f"`{command}` needs a lockfile, which the repository lacks: run `npm install` there, commit package-lock.json"
    )


def secrets(texts: Iterable[str]) -> list[str]:
    """The values in environment files that must not be shown, the longest first."""
    values = set()
    for line in "\n".join(texts).splitlines():
        value = line.partition("=")[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        password = re.match(r"[a-z][a-z0-9+.-]*://[^/:@]*:(?P<password>[^@]+)@", value)
        values.update([value, password.group("password") if password else ""])
    return sorted((value for value in values if len(value) >= SECRET_MIN), key=len, reverse=True)


def tail(output: str, hidden: Iterable[str]) -> str:
    """The last lines of a step's own output, without secrets."""
    lines = [line for line in output.splitlines() if not NOISE.match(line) and not RESULT.match(line)]
    return hide("\n".join(lines[-TAIL:]), hidden)


def hide(text: str, hidden: Iterable[str]) -> str:
    """The text without the values that must not be shown, nor the password of any URL."""
    for value in hidden:
        text = text.replace(value, "********")
    return URL_PASSWORD.sub(r"\g<head>********@", text)


def reason(app: dict[str, Any], code: int, output: str, timeout: int) -> str:
    """Why a step failed, in one sentence."""
    found = RESULT.findall(output)
    result = found[-1] if found else ""
    if result == "oom-kill":
        return "needs more memory than build_memory_max ({}) allows".format(app["build_memory_max"])
    if result == "timeout":
        return f"was stopped after {timeout} s"
    return f"ended with exit code {code}"


def stop_leftover(name: str, systemctl: str) -> None:
    """Stop a step that outlived the run which started it. Nothing happens where there is none."""
    subprocess.run(
        [systemctl, "stop", "--quiet", unit(name)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def run(systemd_run: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end; standard output and standard error come as one text, in their order."""
    return subprocess.run(
        [systemd_run, *words],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
