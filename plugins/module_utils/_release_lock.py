# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time deploys an app. The lock is a file that names its holder, since when, and what that is at.

A run that was killed leaves its lock. Whether its holder still runs, only the holder's own machine can tell (the action
plugin does); for other machines a lock is stale once its step has taken longer than a step may.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

GRACE = 300  # seconds, on top of a step's own time limit


class LockedError(Exception):
    """Another run is at work. ``holder`` is its name."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class Lock:
    """The lock of one app, a file beside its releases."""

    def __init__(self, path: str, holder: str) -> None:
        self.path = path
        self.holder = holder

    def read(self) -> dict[str, Any]:
        """Who holds it; empty where nobody does.

        ``holder``; ``taken``: when it took the lock; ``step`` and ``since``: what it is at since when; ``limit``:
        seconds that this may take, or 0 where nobody knows. Times are seconds since 1970.
        """
        try:
            with open(self.path, encoding="utf-8") as stream:
                found = json.load(stream)
        except FileNotFoundError:
            return {}
        except ValueError:
            found = {}
        known = {**_unknown(os.path.getmtime(self.path)), **(found if isinstance(found, dict) else {})}
        return {**known, "taken": known.get("taken", known["since"])}

    def take(self, step: str, timeout: int, over: str = "") -> str:
        """Take it, or raise LockedError. Gives a sentence where it was another's, or none.

        timeout: seconds that the step may take. over: a holder known to run no more.
        """
        held = self.read()
        told = ""
        if held and held["holder"] != self.holder:
            limit = (held["limit"] or timeout) + GRACE
            if held["holder"] == over:
                told = f"the lock of a run that was stopped is taken over: {sentence(held)}"
            elif time.time() - held["since"] < limit:
                raise LockedError(
                    f"another run is deploying it: {sentence(held)}. Wait until it is done. If it runs no more, the"
                    f" lock is stale at {_clock(held['since'] + limit)}, and the next run takes it over; to take it"
                    f" over now, remove {self.path}",
                    held["holder"],
                )
            else:
                told = f"a stale lock is taken over, whose step may take {limit // 60} min: {sentence(held)}"
        self._write(held, step, timeout)
        return told

    def _write(self, held: dict[str, Any], step: str, timeout: int) -> None:
        moment = time.time()
        taken = held["taken"] if held and held["holder"] == self.holder else moment
        fresh = f"{self.path}.{os.getpid()}"
        with open(fresh, "w", encoding="utf-8") as stream:
            known = {"holder": self.holder, "taken": taken, "step": step, "since": moment, "limit": timeout}
            json.dump(known, stream)
        try:
            if held:
                os.rename(fresh, self.path)
            else:
                os.link(fresh, self.path)
        except FileExistsError:
            raise LockedError("another run has begun to deploy it just now: wait until it is done", "") from None
        finally:
            if os.path.exists(fresh):
                os.unlink(fresh)

    def note(self, step: str, timeout: int) -> None:
        """Write down which step is under way, and how many seconds it may take, where the lock is one's own."""
        if self.read().get("holder") == self.holder:
            self.take(step, timeout)

    def give_back(self) -> None:
        """Let the next run in."""
        if self.read().get("holder") == self.holder:
            os.unlink(self.path)

    def age(self) -> float | None:
        """Seconds since one took the lock; None where it is not one's own."""
        held = self.read()
        return time.time() - held["taken"] if held and held["holder"] == self.holder else None


def _unknown(moment: float) -> dict[str, Any]:
    return {"holder": "an unknown run", "step": "unknown", "since": moment, "limit": 0}


def sentence(held: dict[str, Any]) -> str:
    """Who holds a lock, since when, and at what."""
    moment = time.time()
    return (
        f"{held['holder']}, since {_clock(held['taken'])} ({_span(moment - held['taken'])}),"
        f" at step {held['step']} for {_span(moment - held['since'])}"
    )


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


def _span(seconds: float) -> str:
    """``40 s``, ``12 min``, ``5 h 3 min``."""
    whole = max(int(seconds), 0)
    if whole < 120:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
