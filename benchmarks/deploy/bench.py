"""Deploys both kinds of app again and again while they are used, by our playbooks and in the ways that others have.

One world (that of molecule/site_deploys, made anew): medical-api, one process under PM2, and voicedrive-api, two under
systemd. The users stand outside, on this machine. Figures go to .ansible/bench-deploy: result.json and result.md.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.minato.fleet.benchmarks.deploy import figures, plan, rivals, world
from ansible_collections.minato.fleet.benchmarks.deploy.client import Listener, Load, Request, Users, request, using
from ansible_collections.minato.fleet.molecule.shared import git
from ansible_collections.minato.fleet.molecule.shared.s2 import medical_user, read_secrets, social_user
from ansible_collections.minato.fleet.molecule.shared.site import Site, address_of

APPS = ("medical-api", "voicedrive-api")
HEALTH = {"medical-api": "/health", "voicedrive-api": "/api/social/health"}
SOCKETS = {"medical-api": "/api/medical/echo", "voicedrive-api": "/api/social/feed"}
STAFF, INTERVIEWS, POSTS = "/api/medical/staff", "/api/medical/interviews", "/api/social/posts"
FULL = {STAFF: 20, POSTS: 50}  # entries of each list: a ward, and a page
WARM = 3  # seconds of load before anything is counted
SETTLE = 2  # seconds of load after a deploy
QUESTIONS = 6  # so that each process of an app is asked once at least
MEGABYTE = 1 << 20
Json = dict[str, Any]
Deploy = tuple[str, str, Callable[[], tuple[bool, list[figures.Step]]]]


class Bench:
    """The world's site, its users, and what came of it so far."""

    def __init__(self, wanted: plan.Plan) -> None:
        self.plan = wanted
        self.site = Site("api.s2.test", address_of(world.HOST), world.STATE / "pebble-root.pem")
        self.users = {"medical-api": medical_user(read_secrets(world.STATE)), "voicedrive-api": social_user(self.site)}
        self.requests = self.filled()
        # Each app's commits, the oldest first. The rivals deploy the same ones.
        self.commits = {app: [self.commit(app)] for app in APPS}
        self.phases: list[Json] = []

    def filled(self) -> dict[str, dict[str, Request]]:
        """What is asked of each app, once a page of each list is full, so that all answers are of one length."""
        medical, social = self.users["medical-api"], self.users["voicedrive-api"]
        staff = {"name": "看護師 一号", "department": "三階病棟", "position": "主任", "hired_on": "2020-04-01"}
        post = {"body": "明日の朝会は八時半からです。資料は共有フォルダにあります。" * 3}
        ids = [self.made(STAFF, staff, medical)["id"] for entry in [staff] * FULL[STAFF]]
        for entry in [post] * FULL[POSTS]:
            self.made(POSTS, entry, social)
        interview = {"staff_id": ids[0], "interview_date": "2026-04-01", "kind": "regular", "notes": "夜勤の回数。" * 9}
        name = self.site.name
        return {
            "medical-api": {
                "lists": request(name, STAFF, medical),
                "writes": request(name, INTERVIEWS, medical, interview),
            },
            "voicedrive-api": {"lists": request(name, POSTS, social), "writes": request(name, POSTS, social, post)},
        }

    def made(self, path: str, body: Json, headers: dict[str, str]) -> Any:
        status, _headers, told = self.site.ask("POST", path, body, headers)
        if status != 201:
            sys.exit(f"POST {path} answered {status}, and not 201: {told}")
        return told

    def commit(self, app: str) -> str:
        """The commit that answers; where processes are not of one mind, or fail, everything that was answered."""
        return " and ".join(sorted({self.answering(app) for question in range(QUESTIONS)}))

    def answering(self, app: str) -> str:
        try:
            status, _headers, health = self.site.ask("GET", HEALTH[app])
        except OSError as error:
            return repr(error)
        return str(health["commit"]) if status == 200 else f"status {status}"

    def push(self, app: str) -> str:
        """A further commit of the app."""
        source = world.ROOT / "tests" / "apps" / app
        commit = git.push(world.OUTSIDE, app, source, {"NOTE": f"{len(self.commits[app])} {time.time()}"})
        self.commits[app].append(commit)
        return commit

    def ours(self, app: str) -> Iterator[Deploy]:
        """Deploys and rollbacks by our playbooks: {action, commit that is to answer, what does it}."""
        for _number in range(self.plan.deploys):
            yield "deploy", self.push(app), functools.partial(self.played, "deploy", app)
        last = self.commits[app][-2:]
        for number in range(self.plan.rollbacks):
            yield "rollback", last[number % 2], functools.partial(self.played, "rollback", app)

    def played(self, playbook: str, app: str) -> tuple[bool, list[figures.Step]]:
        well, lines = world.play(f"playbooks/{playbook}.yml", {"app": app})
        return well, figures.steps_of_tasks(lines)

    def theirs(self, rival: rivals.Rival) -> Iterator[Deploy]:
        """Deploys in another way. The commit that runs before the first is the app's first."""
        commits = self.commits[rival.app]
        for number in range(1, self.plan.rivals + 1):
            commit = commits[number % len(commits)]
            yield "deploy", commit, functools.partial(rival.deploy, commit)

    def measure(self, app: str, way: str, deploys: Iterator[Deploy]) -> None:
        """All of these under one load, which begins with the time at rest."""
        headers = self.users[app]
        load = Load(place(self.site), self.requests[app], self.plan.rate)
        url = f"wss://{self.site.name}{SOCKETS[app]}"
        where = {"host": self.site.address, "port": 443, "ssl": self.site.tls, "additional_headers": headers}
        listeners = [Listener(url, where) for socket in range(self.plan.sockets)]
        done: list[figures.Done] = []
        with using(load, listeners) as users:
            time.sleep(WARM)
            rest = time.time()
            time.sleep(self.plan.rest)
            resting = figures.between(load.answers, rest, time.time())
            for action, commit, deploy in deploys:
                done.append(self.one(app, users, action, commit, deploy))
                print(f"  {app}, {way}, {action}: {done[-1].ended - done[-1].began:.1f} s", flush=True)
            for listener in listeners:
                listener.back()
        answers = sorted(load.answers)
        closings = [closing for listener in listeners for closing in listener.closings]
        until = [*(each.began for each in done[1:]), time.time()]
        ones = [figures.one(each, end, answers, closings) for each, end in zip(done, until, strict=True)]
        for action in dict.fromkeys(each.action for each in done):
            mine = [number for number, each in enumerate(done) if each.action == action]
            those = [done[number] for number in mine]
            again = sum(those[0].began <= at < until[mine[-1]] for at in load.again)
            told = figures.phase([ones[number] for number in mine], answers, those, resting)
            self.phases.append({"app": app, "way": way, "action": action, "again": again, **told})

    def one(self, app: str, users: Users, action: str, commit: str, deploy: Any) -> figures.Done:
        """One deploy, and the wait until everybody is back."""
        began = time.time()
        well, steps = deploy()
        ended = time.time()
        time.sleep(SETTLE)
        if not users.wait():
            print(f"  {app}: a WebSocket is not back after 20 s", flush=True)
        return figures.Done(action, began, ended, steps, well, self.commit(app) == commit)


def place(site: Site) -> Json:
    """Where users connect to."""
    return {"host": site.address, "port": 443, "ssl": site.tls, "server_hostname": site.name}


def run(wanted: plan.Plan, keep: Callable[[list[Json]], None]) -> None:
    """Ours, then the other ways; what is known so far is kept after each."""
    bench = Bench(wanted)
    for app in APPS:
        if wanted.deploys:
            bench.measure(app, "fleet", bench.ours(app))
            keep(bench.phases)
    for rival in rivals.rivals() if wanted.rivals else []:
        rival.prepare(bench.commits[rival.app][0])
        bench.measure(rival.app, rival.way, bench.theirs(rival))
        keep(bench.phases)
        rival.end()


def main() -> None:
    try:
        wanted = plan.Plan.told(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    world.WORK.mkdir(parents=True, exist_ok=True)
    world.LOG.unlink(missing_ok=True)
    began, average = time.monotonic(), os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEGABYTE
    result: Json = {"plan": wanted._asdict(), "cores": os.cpu_count(), "memory": round(memory)}

    def keep(phases: list[Json]) -> None:
        """Write what is known so far: what fails later takes nothing of it away."""
        seconds = round(time.monotonic() - began)
        result.update(phases=phases, seconds=seconds, average={"before": average, "after": os.getloadavg()[0]})
        (world.WORK / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        (world.WORK / "result.md").write_text(figures.report(result), encoding="utf-8")

    try:
        world.build()
        with world.niceness_counts():
            run(wanted, keep)
    finally:
        world.remove()
    where = world.WORK.relative_to(world.ROOT)
    print(f"\n{figures.report(result)}\nAlso in {where}: result.json, result.md")


if __name__ == "__main__":
    main()
