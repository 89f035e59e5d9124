# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host's security checklist: from what was seen of it to one finding a line. Nothing here reads the host.

Each rule takes what it judges as plain data and gives findings: what was looked at, what is wrong (empty: nothing), and
what to do about it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Sequence

Json = Dict[str, Any]

SHORTEST_SECRET = 8  # characters; what is shorter is found by chance
SHOWN = 5  # of a longer list
CERTIFICATE_DAYS = 14  # certbot renews a month ahead: who has less is not renewed
LIST_DAYS = 7
# What a host listens on for its own address.
CLIENT_PORTS = {("udp", 68), ("udp", 546)}
SSH_WANTED = {"permitrootlogin": ("no",), "passwordauthentication": ("no",), "kbdinteractiveauthentication": ("no",)}


class Finding(NamedTuple):
    """One line of the checklist. `wrong` is empty where it passes; no text has a secret in it."""

    check: str
    subject: str
    wrong: str
    remedy: str

    def report(self) -> Json:
        """Return it as the module does."""
        passed = not self.wrong
        return {
            "check": self.check,
            "subject": self.subject,
            "passed": passed,
            "wrong": self.wrong,
            "remedy": "" if passed else self.remedy,
        }


class Path(NamedTuple):
    """A file or directory: names, not numbers; mode is the permission bits alone."""

    path: str
    owner: str
    group: str
    mode: int


def shown(items: Sequence[str]) -> str:
    """Return a list in words, cut off where it is long."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def certificate(name: str, not_after: datetime | None, self_signed: bool, now: datetime) -> Finding:
    """A certificate is there, comes from an authority, and is renewed in time."""
    wrong = ""
    if not_after is None:
        wrong = "there is none that can be read"
    elif self_signed:
        wrong = "it is a placeholder that no browser trusts"
    elif not_after < now:
        wrong = f"it ended on {not_after:%Y-%m-%d}"
    elif not_after < now + timedelta(days=CERTIFICATE_DAYS):
        wrong = f"it ends on {not_after:%Y-%m-%d} and has not been renewed"
    remedy = "run site.yml; if that does not help, journalctl -u certbot and certbot renew --dry-run say why"
    return Finding("certificate in place", name, wrong, remedy)


def key(path: Path, group: str) -> Finding:
    """A private key is read by root and, at most, by the group that it is for."""
    wrong = ""
    if path.owner != "root":
        wrong = f"it is owned by {path.owner}"
    elif path.mode & 0o027:
        wrong = f"its mode is {path.mode:04o}"
    elif path.mode & 0o040 and path.group not in ("root", group):
        wrong = f"the group {path.group} can read it"
    remedy = f"chown root:{group or 'root'}, chmod {'0640' if group else '0600'}, or run site.yml"
    return Finding("private key", path.path, wrong, remedy)


def env_file(path: Path, user: str) -> Finding:
    """An environment file is its user's alone."""
    wrong = ""
    if path.owner not in (user, "root"):
        wrong = f"it is owned by {path.owner}"
    elif path.mode & 0o177:
        wrong = f"its mode is {path.mode:04o}"
    return Finding("environment file is private", path.path, wrong, f"chown {user}, chmod 0600, or run site.yml")


def env_ignored(path: str, ignored: bool) -> Finding:
    """The repository of an app does not take its environment file in."""
    name = path.rsplit("/", 1)[-1]
    wrong = "" if ignored else "the repository would take it in"
    return Finding("environment file is ignored by git", path, wrong, f"add {name} to the repository's .gitignore")


def listeners(found: Iterable[tuple[str, str, int, str]], allowed: Iterable[tuple[str, int]]) -> Finding:
    """Nothing but the declared ports is reachable. `found`: protocol, address, port, program."""
    wanted = {*allowed, *CLIENT_PORTS}
    others = sorted(
        {
            f"{program or 'something'} on {protocol} {port}"
            for protocol, address, port, program in found
            if not loopback(address) and (protocol, port) not in wanted
        }
    )
    remedy = "let it listen on 127.0.0.1, stop it, or declare the port in fleet_ports"
    return Finding("only declared ports", "listening sockets", shown(others), remedy)


def loopback(address: str) -> bool:
    """Say whether an address of `ss` is this host's alone."""
    bare = address.strip("[]").split("%")[0]
    return bare.startswith(("127.", "::ffff:127.")) or bare == "::1" or address.endswith("%lo")


def packages(simulated: str, lists_age: timedelta | None, reboot: bool) -> list[Finding]:
    """Security updates are in, from lists that are fresh. `simulated` is what `apt-get --simulate upgrade` prints."""
    due = re.findall(r"^Inst (\S+) .*?(?:-[Ss]ecurity|Debian-Security)", simulated, re.MULTILINE)
    old = ""
    if lists_age is None:
        old = "there are none"
    elif lists_age > timedelta(days=LIST_DAYS):
        old = f"they are {lists_age.days} days old"
    return [
        Finding("packages up to date", "security updates", shown(due), "unattended-upgrade, or apt-get upgrade"),
        Finding("packages up to date", "package lists", old, "apt-get update; systemctl status apt-daily.timer"),
        Finding(
            "packages up to date",
            "restart",
            "an update waits for one" if reboot else "",
            "reboot in the next maintenance window",
        ),
    ]


def secret_values(text: str, names: Iterable[str]) -> dict[str, str]:
    """Return the secrets in an environment file that are long enough to be looked for, by name."""
    wanted = set(names)
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        value = value.strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1]:
            value = value[1:-1]
        if equals and name in wanted and len(value) >= SHORTEST_SECRET:
            found[name] = value
    return found


def logs(app: str, leaks: Sequence[tuple[str, str]]) -> Finding:
    """No secret is in an app's logs. `leaks`: name of the secret, and where it was seen."""
    wrong = shown([f"{name} in {place}" for name, place in leaks])
    remedy = "make the app leave it out, remove the lines, and replace the secret: it is known now"
    return Finding("no secrets in logs", app, wrong, remedy)


def writable(path: Path, user: str) -> Finding:
    """A directory of an app's data is the app's, and nobody else's to read or change."""
    wrong = ""
    if path.owner != user:
        wrong = f"it is owned by {path.owner}"
    elif path.mode & 0o007:
        wrong = f"its mode is {path.mode:04o}"
    return Finding("data directory", path.path, wrong, f"chown {user}, chmod o-rwx, or run site.yml")


def owners(home: str, user: str, others: Sequence[str], open_to_all: Sequence[str]) -> Finding:
    """All below an app's home is the app's or root's, and nobody else can change it."""
    parts = []
    if others:
        parts.append(f"owned by others: {shown(others)}")
    if open_to_all:
        parts.append(f"writable by everybody: {shown(open_to_all)}")
    return Finding("files belong to the app", home, "; ".join(parts), f"chown {user} them, chmod o-w them")


def processes(app: str, user: str, found: Mapping[int, str]) -> Finding:
    """An app's processes run, and as its user. `found`: user by process id, of all that run from its home."""
    wrong = ""
    strangers = [f"{pid} as {owner}" for pid, owner in sorted(found.items()) if owner != user]
    if user == "root":
        wrong = "its user is root"
    elif strangers:
        wrong = shown(strangers)
    elif not found:
        wrong = "none runs"
    return Finding("runs as its own user", app, wrong, f"stop them, and run site.yml: it starts them as {user}")


def ssh(settings: Mapping[str, str]) -> Finding:
    """SSH takes keys only, and not for root. `settings`: what `sshd -T` prints, by its lower-case names."""
    wrong = [
        f"{name} {settings.get(name, 'unknown')}" for name, good in SSH_WANTED.items() if settings.get(name) not in good
    ]
    return Finding("SSH by key, not as root", "sshd", shown(wrong), "run site.yml with fleet's base, or set them so")
