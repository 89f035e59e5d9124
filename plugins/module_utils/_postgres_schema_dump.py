# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a dump of a database with PostgreSQL's own pg_restore: whose it is, when it was made, which rows it has."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Sequence

from ansible_collections.minato.fleet.plugins.module_utils._postgres_schema_types import Dump

_MADE = re.compile(r"^; Archive created at (\d+-\d+-\d+ \d+:\d+:\d+)", re.MULTILINE)
_DATABASE = re.compile(r"^;\s+dbname: (.*)$", re.MULTILINE)
_ROWS = re.compile(r"^\d+; \d+ (\d+) TABLE DATA ", re.MULTILINE)


def read_dump(path: str) -> Dump:
    """What is in the file, all of which is read once: one that was cut off has a list of contents, too."""
    if not os.path.exists(path):
        return _bad("is missing on this host")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        return _bad("is empty; make a new one, and see that pg_dump succeeds")
    try:
        listed = _run(["pg_restore", "--list", path])
        whole = _run(["pg_restore", "--file=/dev/null", path])
    except OSError as error:
        return _bad(f"cannot be read: pg_restore is missing on this host ({error.strerror}); install postgresql-client")
    for run in (listed, whole):
        if run.returncode:
            said = " ".join(run.stderr.split())
            return _bad(f"is none that pg_restore can read to its end ({said}); make it with pg_dump --format=custom")
    return parsed(listed.stdout, os.stat(path).st_mtime)


def parsed(listed: str, changed: float) -> Dump:
    """The same from what `pg_restore --list` says; the file's own time counts if it is the older one."""
    made, database = _MADE.search(listed), _DATABASE.search(listed)
    if not made or not database:
        return _bad("does not say what it is of, or when it was made; make it with pg_dump --format=custom")
    created = time.mktime(time.strptime(made.group(1), "%Y-%m-%d %H:%M:%S"))
    tables = [int(oid) for oid in _ROWS.findall(listed)]
    return Dump(problem="", database=database.group(1), made=min(created, changed), tables=tables)


def _bad(problem: str) -> Dump:
    return Dump(problem=problem, database="", made=0.0, tables=[])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
        text=True,
        check=False,
    )
