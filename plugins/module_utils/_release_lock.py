# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time deploys an app. The lock is a file that names its holder and what that is at.

A run that was killed leaves its lock. Whether its holder still runs, only the holder's own machine can tell (the action
plugin does); for other machines a lock is over once its step has taken longer than a step may.
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
        """Who holds it: ``holder``, ``step``, ``since``. Empty where nobody does."""
        try:
            with open(self.path, encoding="utf-8") as stream:
                found = json.load(stream)
        except FileNotFoundError:
            return {}
        except ValueError:
            found = {}
        known = {"holder": "an unknown run", "step": "unknown", "since": os.path.getmtime(self.path)}
        return {**known, **found} if isinstance(found, dict) else known

    def take(self, step: str, timeout: int, over: str = "") -> None:
        """Take it, or raise LockedError. ``over``: a holder known to run no more."""
        held = self.read()
        if held and held["holder"] not in (self.holder, over):
            age = time.time() - held["since"]
            if age < timeout + GRACE:
                raise LockedError(
                    f"another run is deploying it: {held['holder']}, at step {held['step']} for {age:.0f} s."
                    f" Wait until it is done; if it runs no more, remove {self.path}",
                    held["holder"],
                )
        fresh = f"{self.path}.{os.getpid()}"
        with open(fresh, "w", encoding="utf-8") as stream:
            json.dump({"holder": self.holder, "step": step, "since": time.time()}, stream)
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

    def note(self, step: str) -> None:
        """Write down which step is under way, where the lock is one's own."""
        if self.read().get("holder") == self.holder:
            self.take(step, 0)

    def give_back(self) -> None:
        """Let the next run in."""
        if self.read().get("holder") == self.holder:
            os.unlink(self.path)
