"""Loads both systems of S2 at once: side by side on one host (Pattern 2), and on one host each (Pattern 1).

For each pattern the world is made anew and deployed to by site.yml, so that both begin alike. The load comes from the
container that stands outside. The figures go to .ansible/bench-load: result.json, result.md, load.svg.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.minato.fleet.benchmarks.load import figures, plan, plot, world
from ansible_collections.minato.fleet.molecule.shared.load import Listener, listening
from ansible_collections.minato.fleet.molecule.shared.site import Site, address_of

STAFF, INTERVIEWS = "/api/medical/staff", "/api/medical/interviews"
POSTS, FEED = "/api/social/posts", "/api/social/feed"
FULL = {STAFF: 100, POSTS: 50}  # entries on a page of each list
Json = dict[str, Any]
Requests = dict[tuple[str, str], Json]


def main() -> None:
    try:
        load = plan.Load.told(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    world.WORK.mkdir(parents=True, exist_ok=True)
    world.LOG.unlink(missing_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / figures.MEGABYTE
    result: Json = {"load": load._asdict(), "cores": os.cpu_count(), "memory": round(memory), "patterns": []}
    try:
        for pattern in map(int, os.environ.get("PATTERNS", "2 1").split()):
            world.build(pattern)
            result["patterns"].append(measure(pattern, load))
            keep(result)
    finally:
        world.remove()
    print(f"\n{figures.report(result)}\nAlso in {world.WORK.relative_to(world.ROOT)}: result.json, result.md, load.svg")


def keep(result: Json) -> None:
    """Write what is known so far: a pattern that fails later takes nothing of it away."""
    (world.WORK / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (world.WORK / "result.md").write_text(figures.report(result), encoding="utf-8")
    plot.draw(result, world.WORK / "load.svg")


def measure(pattern: int, load: plan.Load) -> Json:
    """One pattern under load, as figures.report reads it."""
    inventory = world.SCENARIO / "inventory"
    hosts = _yaml(inventory / f"pattern_{pattern}.yml")["all"]["hosts"]
    catalog = _yaml(inventory / "group_vars/all/apps.yml")["fleet_apps"]
    site = Site("api.s2.test", address_of(world.CONTAINERS["systems-1"]), world.STATE / "pebble-root.pem")
    requests = requests_to(site)
    who = plan.users(load, [app["name"] for app in catalog])
    print(f"Pattern {pattern}: {load.minutes:g} min of load", flush=True)
    average, busy = os.getloadavg()[0], busy_seconds()
    with (
        world.sampled() as samples,
        listening(site, FEED, requests["voicedrive-api", "lists"]["headers"], load.sockets) as feed,
    ):
        began = time.time()
        world.run_in("load", plan.script(load, who, requests))
        ended = time.time()
        busy = busy_seconds() - busy
        time.sleep(2)  # for the last news
        heard = news(feed)
    found = collected(who, began)
    parts = figures.parts(hosts, catalog, figures.between(samples, began, ended))
    return {
        "pattern": pattern,
        "seconds": round(ended - began, 1),
        "answers": figures.answers_of(who, found, load.user_requests),
        "courses": figures.courses_of(who, found, width=max(5.0, load.minutes)),
        "uses": {name: figures.use(uses, limit) for name, (uses, limit) in parts.items()},
        "series": {name: figures.series(uses, began) for name, (uses, _limit) in parts.items()},
        "feed": {"sockets": load.sockets, **heard},
        "average": {"before": average, "after": os.getloadavg()[0]},
        "busy": round(100 * busy / (ended - began)),
    }


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def busy_seconds() -> float:
    """Seconds that the cores of this machine have worked since it started, all together."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft, _stolen = map(int, fields)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def requests_to(site: Site) -> Requests:
    """What the users ask for. Fills a page of each list first, so that every answer is as long as any other."""
    medical = {"Authorization": f"Bearer {token()}"}
    user = {"email": f"load-{secrets.token_hex(4)}@s2.test", "name": "負荷 試験", "password": secrets.token_urlsafe(24)}
    expect(site, "/api/auth/users", user, {})
    session = expect(site, "/api/auth/sessions", {key: user[key] for key in ("email", "password")}, {})
    social = {"Authorization": f"Bearer {session['token']}"}
    staff = {"name": "看護師 一号", "department": "三階病棟", "position": "主任", "hired_on": "2020-04-01"}
    post = {"body": "明日の朝会は八時半からです。資料は共有フォルダにあります。" * 3}
    ids = [expect(site, STAFF, entry, medical)["id"] for entry in [staff] * FULL[STAFF]]
    for entry in [post] * FULL[POSTS]:
        expect(site, POSTS, entry, social)
    interview = {
        "staff_id": ids[0],
        "interview_date": "2026-04-01",
        "kind": "regular",
        "notes": "夜勤の回数について相談があった。" * 5,
    }
    return {
        ("medical-api", "lists"): {"path": STAFF, "headers": medical},
        ("medical-api", "writes"): {"path": INTERVIEWS, "headers": medical, "body": interview},
        ("voicedrive-api", "lists"): {"path": POSTS, "headers": social},
        ("voicedrive-api", "writes"): {"path": POSTS, "headers": social, "body": post},
    }


def expect(site: Site, path: str, body: Json, headers: dict[str, str]) -> Any:
    """What a POST answers, which must make something."""
    status, _headers, told = site.ask("POST", path, body, headers)
    if status != 201:
        sys.exit(f"POST {path} answered {status}, and not 201: {told}")
    return told


def token() -> str:
    """A token that the medical system takes."""
    key = (world.STATE / "secrets/medical-api/JWT_SECRET").read_text(encoding="utf-8").strip()
    header, claims = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "load"}))
    signature = hmac.new(key.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    return f"{header}.{claims}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def collected(who: list[plan.User], began: float) -> dict[plan.User, list[figures.Answer]]:
    """The answers that each user got."""
    files = world.files_of("load", plan.PLACE)
    complaints = {
        text.strip().splitlines()[0] for name, text in files.items() if name.endswith(".error") and text.strip()
    }
    for text in sorted(complaints):
        print(f"hey: {text}", file=sys.stderr)
    return {
        user: figures.answers(files[f"{user.name}.csv"], float(files[f"{user.name}.began"]) - began) for user in who
    }


def news(feed: list[Listener]) -> dict[str, int]:
    """How many posts the WebSockets heard of together, and how often one of them was lost and came back."""
    heard = sum(json.loads(message)["type"] == "post" for listener in feed for message in listener.heard)
    return {"heard": heard, "lost": sum(len(listener.away) for listener in feed)}


if __name__ == "__main__":
    main()
