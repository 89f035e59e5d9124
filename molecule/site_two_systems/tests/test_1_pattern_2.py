"""Both systems on one host (S2.4): the gateway, the processes, the cache, and who may touch whose tables."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

import pytest
from websockets.asyncio.client import connect

FEED = "/api/social/feed"


def test_the_gateway_leads_each_path_to_its_system(site: Any, medical: dict[str, str], social: dict[str, str]) -> None:
    """S2.6: one name, one certificate, a path for each system, and one for the accounts that both share."""
    status, _headers, health = site.ask("GET", "/api/social/health")
    assert (status, health["database"], health["redis"], health["feed"]["bus"]) == (200, "ok", "ok", "redis")
    assert site.ask("GET", "/api/medical/staff", headers=medical)[0] == 200
    assert site.ask("GET", "/api/social/posts", headers=social)[0] == 200
    assert site.ask("GET", "/api/medical/staff", headers=social)[0] == 401, "another system's session"
    assert site.ask("GET", "/api/social/posts", headers=medical)[0] == 401, "another system's token"
    assert site.ask("GET", "/api/other/")[0] == 404


def test_websockets_pass_to_both(site: Any, medical: dict[str, str], social: dict[str, str]) -> None:
    assert site.say("もしもし", "/api/medical/echo", medical) == "もしもし"
    hello = json.loads(site.say("", FEED, social))
    assert hello["type"] == "hello"


def test_news_reaches_the_clients_of_every_process(site: Any, social: dict[str, str]) -> None:
    """S2.4: cluster mode, with Redis between the processes."""

    async def listen() -> tuple[set[int], list[Any]]:
        options = {"host": site.address, "port": 443, "ssl": site.tls, "additional_headers": social}
        sockets = [await connect(f"wss://{site.name}{FEED}", **options) for client in range(8)]
        hellos = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for socket in sockets]
        status, _headers, post = await asyncio.to_thread(
            site.ask, "POST", "/api/social/posts", {"body": "朝会"}, social
        )
        assert status == 201
        news = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for socket in sockets]
        for socket in sockets:
            await socket.close()
        assert all(heard["post"]["id"] == post["id"] for heard in news)
        return {hello["pid"] for hello in hellos}, news

    pids, news = asyncio.run(listen())
    assert len(pids) == 2, "eight clients, two processes"
    assert len(news) == 8


def test_each_system_has_its_own_user_daemon_and_port(first: Any) -> None:
    """S2.8"""
    listening = {line.split()[3] for line in first.check_output("ss -Hltn").splitlines()}
    assert listening >= {"127.0.0.1:3000", "127.0.0.1:3001"}
    owners = first.check_output("ps -eo user:32,args").splitlines()
    workers = [line.split()[0] for line in owners if "/current/server.js" in line or "/releases/" in line]
    assert sorted(workers) == ["medical-api", "voicedrive-api", "voicedrive-api"]
    memory = {
        app["name"]: app["pm2_env"]["max_memory_restart"]
        for user in ("medical-api", "voicedrive-api")
        for app in json.loads(first.check_output(f"{_as(user)} /opt/pm2/bin/pm2 jlist"))
    }
    assert memory == {"medical-api": 600 << 20, "voicedrive-api": 300 << 20}


def _as(user: str) -> str:
    home = f"HOME=/opt/{user} PM2_HOME=/opt/{user}/.pm2 PATH=/opt/node/20/bin:$PATH"
    return f"setpriv --reuid={user} --regid={user} --init-groups env {home}"


def test_the_cache_is_the_hosts_own(first: Any, outside: Any, site: Any, secrets: dict[str, str]) -> None:
    """S2.4: loopback, a password, a cap."""
    assert first.run("redis-cli ping").stdout.startswith("NOAUTH")
    ask = f"env REDISCLI_AUTH={secrets['redis/PASSWORD']} redis-cli config get"
    assert first.check_output(f"{ask} maxmemory").split() == ["maxmemory", str(128 << 20)]
    assert first.check_output(f"{ask} maxmemory-policy").split()[1] == "allkeys-lru"
    assert outside.run(f"timeout 3 bash -c '</dev/tcp/{site.address}/6379'").rc != 0


@pytest.mark.parametrize(
    ("user", "own", "other"),
    [
        ("medical_user", "medical.staff", "social.posts"),
        ("social_user", "social.posts", "medical.staff"),
    ],
)
def test_neither_reaches_the_others_tables(
    db_host: Any, secrets: dict[str, str], user: str, own: str, other: str
) -> None:
    """S2.7: its own and `common` are read and written, the other's are not even looked at."""
    app = "medical-api" if user == "medical_user" else "voicedrive-api"

    def sql(text: str) -> Any:
        address = f"host=db.medical.test dbname=medical_system user={user} sslmode=require"
        password = secrets[f"{app}/DATABASE_PASSWORD"]
        return db_host.run(f"env PGPASSWORD={password} psql -v ON_ERROR_STOP=1 -Atc {shlex.quote(text)} '{address}'")

    assert sql(f"SELECT count(*) FROM {own}").rc == 0
    touched = sql("BEGIN; UPDATE common.users SET name = name; ROLLBACK")
    assert touched.rc == 0, touched.stderr
    for attempt in (f"SELECT * FROM {other}", f"DELETE FROM {other}", f"DROP TABLE {own}", f"CREATE TABLE {own}2 ()"):
        refused = sql(attempt)
        assert refused.rc != 0, attempt
        assert "permission denied" in refused.stderr or "must be owner" in refused.stderr
