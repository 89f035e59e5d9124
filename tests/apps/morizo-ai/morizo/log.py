"""Lines to standard output and, where LOG_FILE says so, to a file that others may rotate."""

from __future__ import annotations

import logging
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path


def configure(level: str, file: Path | None) -> logging.Logger:
    """Set the app's log up anew and return it."""
    log = logging.getLogger("morizo")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if file:
        # Opens the file anew once somebody has moved it.
        handlers.append(WatchedFileHandler(file, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    return log
