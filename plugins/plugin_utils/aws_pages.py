# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking much at once, and asking for all of a list."""

from __future__ import annotations

import queue
import threading
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator

from ansible_collections.minato.fleet.plugins.plugin_utils.aws_clients import Ask
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_facts import Facts, snake
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Filter

T = t.TypeVar("T")
R = t.TypeVar("R")


def at_once(tasks: Iterable[T], do: Callable[[T], R], workers: int, seconds: float) -> list[tuple[T, R | Exception]]:
    """Do all tasks, some at a time; one that takes longer than it may is given up. In the order of the tasks."""
    waiting: queue.SimpleQueue[tuple[int, T] | None] = queue.SimpleQueue()
    given = list(tasks)
    done: dict[int, R | Exception] = {}
    began: dict[int, float] = {}
    changed = threading.Condition()

    def work() -> None:
        while (entry := waiting.get()) is not None:
            number, task = entry
            began[number] = time.monotonic()
            result: R | Exception
            try:
                result = do(task)
            except Exception as error:
                result = error
            with changed:
                done.setdefault(number, result)
                changed.notify()

    for entry in enumerate(given):
        waiting.put(entry)
    # Daemons: one that hangs in a call keeps nobody from leaving.
    for _number in range(min(workers, len(given))):
        waiting.put(None)
        threading.Thread(target=work, daemon=True).start()
    with changed:
        while len(done) < len(given):
            changed.wait(0.25)
            now = time.monotonic()
            for number in list(began):
                if number not in done and now - began[number] > seconds:
                    done[number] = TimeoutError()
                    # Its thread is lost; another takes the rest.
                    waiting.put(None)
                    threading.Thread(target=work, daemon=True).start()
    return [(task, done[number]) for number, task in enumerate(given)]


def pages(ask: Ask, operation: str, given: str, taken: str, **parameters: t.Any) -> Iterator[dict[str, t.Any]]:
    """Every page of a list; tokens are called differently from service to service."""
    while True:
        answer = ask(operation, **parameters)
        yield answer
        if not answer.get(taken):
            return
        parameters[given] = answer[taken]


def lightsail(ask: Ask, operation: str, key: str, **parameters: t.Any) -> Iterator[Facts]:
    for page in pages(ask, operation, "pageToken", "nextPageToken", **parameters):
        yield from (snake(item) for item in page[key])


def api_filters(filters: Filter) -> list[dict[str, t.Any]]:
    return [{"Name": name, "Values": values} for name, values in filters.items()]
