# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring an old set back with nobody's help, unless its successor is confirmed in time.

Before the new set goes live, a shell script that puts back every path of the swap is written into the set's books. A
systemd timer starts it when the time is over, and a unit starts it at boot: whoever is locked out restarts the host.
Whoever removes the script first, under the set's lock, has decided: confirmed, undone by a run, or put back.
"""

from __future__ import annotations

import os
import shlex
from typing import Any, Iterator, Mapping

from ansible_collections.minato.fleet.plugins.module_utils._config_tree_check import first_failure
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_host import sync
from ansible_collections.minato.fleet.plugins.module_utils._config_tree_store import RunError, Store

UNITS = "/etc/systemd/system"

_UNIT = """\
[Unit]
Description=Put back the files of the set {name}: the new ones were not confirmed

[Service]
Type=oneshot
ExecStart=/bin/sh {script}
"""

# A run that holds the lock is waited for, but not for ever: it may be what hangs.
_HEAD = """\
#!/bin/sh
# Put back what the set {name} was before; nobody has confirmed that the host can still be reached.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd {books} || exit
exec 9<.
flock --wait 30 9
[ -e parachute ] || exit 0
put_back() {{ cp --archive --no-target-directory "$1" "$2" && mv --no-target-directory "$2" "$3"; }}
"""


def beside(path: str) -> str:
    """Return the name under which a path is prepared; services skip hidden names and those ending in a tilde."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.minato~")


def arm(store: Store, journal: Mapping[str, Any]) -> None:
    """Have the originals of a swap put back after `confirm_within` seconds. Raises `RunError`."""
    script, service, wanted = store.at("parachute"), _service(store), _wanted_at_boot(store)
    try:
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        _write(script, 0o700, "".join(line + "\n" for line in _script(store, journal)))
        _write(os.path.join(UNITS, service), 0o644, _UNIT.format(name=store.name, script=script))
        if not os.path.lexists(wanted):
            os.symlink(f"../{service}", wanted)
        sync([store.path, UNITS, os.path.dirname(wanted)])
    except OSError as error:
        raise RunError(f"nothing was changed: the parachute could not be armed: {error}") from error
    timer = f"--on-active={journal['confirm_within']} --timer-property=AccuracySec=1s"
    failure = first_failure(["systemctl daemon-reload", f"systemd-run --quiet {timer} --unit={service}"])
    if failure:
        raise RunError(f"nothing was changed: the parachute could not be armed: {failure}")


def disarm(store: Store) -> None:
    """Stop what `arm` prepared; the script first, without which the rest does nothing."""
    script = store.at("parachute")
    if os.path.lexists(script):
        os.unlink(script)
    unit = os.path.join(UNITS, _service(store))
    if os.path.lexists(unit):
        first_failure([f"systemctl stop {_timer(store)}"])
        for path in (_wanted_at_boot(store), unit):
            if os.path.lexists(path):
                os.unlink(path)
        first_failure(["systemctl daemon-reload"])


def _service(store: Store) -> str:
    return f"minato-parachute-{store.name}.service"


def _timer(store: Store) -> str:
    return f"minato-parachute-{store.name}.timer"


def _wanted_at_boot(store: Store) -> str:
    return os.path.join(UNITS, "multi-user.target.wants", _service(store))


def _write(path: str, mode: int, text: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def _script(store: Store, journal: Mapping[str, Any]) -> Iterator[str]:
    """Yield the commands: the paths in the opposite order, the service's own reload, and then nothing is left."""
    yield _HEAD.format(name=store.name, books=shlex.quote(store.path)).rstrip()
    for step in reversed(journal["steps"]):
        yield from _step(step)
    if journal["reload"]:
        yield " ".join(shlex.quote(word) for word in shlex.split(journal["reload"]))
    unit, wanted = os.path.join(UNITS, _service(store)), _wanted_at_boot(store)
    yield f"rm -rf journal.json old {shlex.quote(unit)} {shlex.quote(wanted)} parachute"
    yield "systemctl daemon-reload"


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    path, half = shlex.quote(step["path"]), shlex.quote(beside(step["path"]))
    before, after = step["before"], step["after"]
    yield f"rm -rf {half}"
    if step["old"]:
        yield f"put_back {step['old']} {half} {path}"
    elif before is not None:
        yield f"mkdir --parents {path}"
        yield f"chown {shlex.quote(before['owner'])}:{shlex.quote(before['group'])} {path}"
        yield f"chmod {before['mode']:04o} {path}"
    elif after["kind"] == "directory":
        yield f"[ ! -d {path} ] || rmdir --ignore-fail-on-non-empty {path}"
    else:
        yield f"rm -f {path}"
