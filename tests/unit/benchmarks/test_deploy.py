"""What make bench-deploy plans, asks and works out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ansible_collections.minato.fleet.benchmarks.deploy import client, figures, plan
from ansible_collections.minato.fleet.benchmarks.deploy.figures import Answer, Closing, Done, Step
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Any]


def test_what_is_done_unless_somebody_says_otherwise() -> None:
    assert plan.Plan.told({"RIVALS": ""}) == (20, 5, 5, 200, 20, 20)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DEPLOYS": "-1"}, "DEPLOYS=-1 is no whole number. Write one, such as 20"),
        ({"RATE": "0"}, "above 0"),
        ({"DEPLOYS": "0"}, "nothing to go back to"),
    ],
)
def test_what_cannot_be_done_is_refused(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plan.Plan.told(variables)


@pytest.mark.parametrize(
    ("got", "is_complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
    ],
)
def test_an_answer_is_there_once_all_of_it_is(got: bytes, is_complete: bool) -> None:
    assert client.complete(got) is is_complete


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[client.Load]:
    """A load on a server that answers as told; ``serve`` also learns how many connections came before."""
    count = 0

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await serve(reader, writer, count - 1)
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1")
    host, port = server.sockets[0].getsockname()[:2]
    requests = {
        "lists": client.request("a.test", "/list", {"Authorization": "me"}),
        "writes": client.request("a.test", "/entry", {}, {"body": "夜勤"}),
    }
    load = client.Load({"host": host, "port": port}, requests, rate=100)
    try:
        yield load
    finally:
        await load.finish()
        server.close()


async def taken(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def ask_twice(serve: Serve, numbers: tuple[int, int]) -> client.Load:
    """The load after two requests, one after the other. 1 and 41 are lists of one user, 0 is a POST."""

    async def run() -> client.Load:
        async with serving(serve) as load:
            for number in numbers:
                await load.ask(number, time.time())
            return load

    return asyncio.run(run())


def test_a_list_is_asked_for_once_more_where_a_kept_connection_had_been_closed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int) -> None:
        assert b"Authorization: me" in await taken(reader)
        writer.write(GOOD)
        if not before:
            await taken(reader)

    load = ask_twice(serve, (1, 41))
    assert [answer.fault for answer in load.answers] == ["", ""]
    assert len(load.again) == 1


def test_it_is_not_where_the_answer_had_begun() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int) -> None:
        await taken(reader)
        writer.write(GOOD)
        await taken(reader)
        writer.write(GOOD[:10])

    load = ask_twice(serve, (1, 41))
    assert [answer.fault for answer in load.answers] == ["", "ConnectionError: closed after 10 bytes of an answer"]
    assert load.again == []


@pytest.mark.parametrize("number", [0, 1], ids=["writes", "lists"])
def test_nor_where_the_connection_was_new(number: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int) -> None:
        await taken(reader)

    load = ask_twice(serve, (number, number))
    assert [answer.fault for answer in load.answers] == ["UnansweredError: closed without an answer"] * 2
    assert load.again == []


def test_what_answers_otherwise_has_failed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int) -> None:
        await taken(reader)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    assert [answer.fault for answer in ask_twice(serve, (0, 1)).answers] == ["status 502"] * 2


def test_a_server_that_stands_still_is_asked_all_the_same() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int) -> None:
        await asyncio.sleep(0.3)
        writer.write(GOOD)

    async def run() -> client.Load:
        async with serving(serve) as load:
            asking = asyncio.create_task(load.run())
            await asyncio.sleep(0.2)
            asking.cancel()
        return load

    load = asyncio.run(run())
    assert len(load.answers) >= 15
    assert {answer.kind for answer in load.answers} == {"lists", "writes"}
    assert min(answer.seconds for answer in load.answers) >= 0.25


def test_a_websocket_comes_back_and_notes_what_it_was_told() -> None:
    codes = [1012, 1011]

    async def told(socket: ServerConnection) -> None:
        if codes:
            await socket.close(codes.pop(0))
        await socket.wait_closed()

    async def run() -> client.Listener:
        async with serve_sockets(told, "127.0.0.1") as server:
            host, port = server.sockets[0].getsockname()[:2]
            listener = client.Listener("ws://a.test/feed", {"host": host, "port": port})
            listening = asyncio.create_task(listener.run())
            while len(listener.closings) < 2:
                await asyncio.sleep(0.01)
            assert listener.open
            listening.cancel()
        return listener

    closings = asyncio.run(asyncio.wait_for(run(), 5)).closings
    assert [closing.code for closing in closings] == [1012, 1011]
    assert all(0 < closing.away < 5 for closing in closings)


def test_one_that_never_comes_back_is_counted_too() -> None:
    listener = client.Listener("ws://a.test/feed", {})
    listener.lost = (time.time() - 30, 1006)
    listener.back()
    listener.back()
    assert [(closing.code, round(closing.away)) for closing in listener.closings] == [(1006, 30)]


def test_tasks_are_known_for_what_they_do() -> None:
    lines = [
        {"task": "Install git", "step": "", "began": 0, "ended": 1},
        {"task": "Install the dependencies of {{ x }}", "step": "install", "began": 1, "ended": 5},
        {"task": "Put it into a slot", "step": "occupy", "began": 5, "ended": 6},
        {"task": "Switch to it", "step": "switch", "began": 6, "ended": 7},
    ]
    assert [step.what for step in figures.steps_of_tasks(lines)] == ["", "install", "switch", ""]


def test_a_script_says_its_steps() -> None:
    said = "step 1.0 fetch\nCloning\nstep 2.5 install\nstep 4.0 switch\nstep 4.1 restart\nstep 9.0 end\n"
    assert figures.steps_of_script(said) == [
        Step("", 1.0, 2.5),
        Step("install", 2.5, 4.0),
        Step("switch", 4.0, 4.1),
        Step("", 4.1, 9.0),
    ]
    with pytest.raises(ValueError, match="not seen to its end"):
        figures.steps_of_script("step 1.0 fetch\n")


def answers(*told: tuple[float, float, str]) -> list[Answer]:
    return [Answer(at, seconds, "lists", fault) for at, seconds, fault in told]


def test_one_deploy_under_load() -> None:
    steps = [
        Step("", 100.0, 101.0),
        Step("install", 101.0, 104.0),
        Step("switch", 104.0, 105.0),
        Step("", 105.0, 106.5),
    ]
    done = Done("deploy", 99.0, 107.0, steps, True, True)
    found = answers(
        (90.0, 0.9, ""), (99.5, 0.010, ""), (105.2, 0.030, ""), (106.0, 0.001, "status 502"), (108.0, 0.5, "")
    )
    found += [Answer(105.0, 0.4, "writes", ""), Answer(120.0, 0.1, "lists", "status 502")]
    closings = [Closing(106.0, 1012, 0.4), Closing(106.1, 1006, 1.25), Closing(95.0, 1012, 3.0)]
    told = figures.one(done, 110.0, found, closings)
    assert (told["seconds"], told["beyond_install"], told["switch_seconds"], told["tasks"]) == (8.0, 5.0, 3.0, 4)
    assert (told["asked"], told["failed"], told["faults"]) == (5, 1, {"status 502": 1})
    assert told["times"] == {"p50": 10.0, "p99": 30.0, "most": 30.0}
    assert told["switch_times"] == {"p50": 30.0, "p99": 30.0, "most": 30.0}
    assert told["worst_second"] == 30.0
    assert (told["told"], told["cut"], told["back"]) == (1, 1, 1.25)


def test_all_of_a_kind_and_the_report() -> None:
    done = [Done("deploy", 0.0, 10.0, [Step("", 0.0, 10.0)], True, True), Done("deploy", 20.0, 32.0, [], False, False)]
    found = answers((1.0, 0.010, ""), (21.0, 0.020, ""), (22.0, 0.1, "status 502"), (33.0, 9.0, ""))
    ones = [figures.one(done[0], 20.0, found, []), figures.one(done[1], 40.0, found, [Closing(21.0, 1012, 0.5)])]
    told = figures.phase(ones, found, done, answers((0.0, 0.005, "")))
    assert (told["count"], told["not_ok"], told["new_code"]) == (2, 1, 1)
    assert (told["asked"], told["failed"], told["worst_failed"]) == (4, 1, 1)
    assert told["during"]["p99"] == 20.0
    assert (told["seconds"], told["most_seconds"]) == (11.0, 12.0)
    phases = [{"app": "medical-api", "way": "fleet", "action": "deploy", "again": 3, **told}]
    result = {
        "plan": plan.Plan.told({})._asdict(),
        "cores": 2,
        "memory": 24000,
        "seconds": 90,
        "average": {"before": 1.0, "after": 2.0},
        "phases": phases,
    }
    report = figures.report(result)
    assert "| medical-api | deploy | 2 | 4 | 1 | 3 | 1 | 0 | 0.50 s | 5.0 ms | 5.0 ms | 20.0 ms | 4.0x |" in report
    assert "| medical-api | fleet | 2 | 1 | 1 | 1 of 4 | 1 | 1 | 0 | 0.50 s | 20.0 ms | 11.0 |" in report
    assert "- medical-api, fleet, deploy: status 502 (1)." in report
