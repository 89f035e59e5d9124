"""Writes as a Python app does, with one of the handlers of logging and logging.handlers."""

import logging.handlers
import sys
import time

name, path = sys.argv[1:]
kinds = {"FileHandler": logging.FileHandler, "WatchedFileHandler": logging.handlers.WatchedFileHandler}
logging.basicConfig(level="INFO", handlers=[kinds[name](path)])
while True:
    logging.info("line")
    time.sleep(0.05)
