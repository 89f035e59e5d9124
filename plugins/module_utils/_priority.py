# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a module's work stands in the queue for a host's processors."""

from __future__ import annotations

import os

_NICENESS = 10


def behind_the_apps() -> None:
    """Let what serves users go first, before this thread and what it starts; systemd and PM2 do not hand it on."""
    os.nice(_NICENESS)
