"""Other ways of deploying the same apps on the same host, to be held against ours.

Each has the app's own user, environment, Node.js and ports, so that nginx passes requests on to it as to ours, and its
releases are of the same commits. Ours is stopped meanwhile.

Import it as ansible_collections.minato.fleet.benchmarks.deploy.rivals.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ansible_collections.minato.fleet.benchmarks.deploy import figures, world

SCRIPT = (world.HERE / "symlink_deploy.sh").read_text(encoding="utf-8")
# What PM2's own documentation asks of an app that is to be reloaded without a gap.
CLUSTER = {"exec_mode": "cluster", "instances": 1, "wait_ready": True, "listen_timeout": 15000, "kill_timeout": 10000}
PM2_OPTIONS = "--instances 1 --wait-ready --listen-timeout 15000 --kill-timeout 10000"


class Rival(NamedTuple):
    """A way of deploying an app.

    way: What it is called.
    playbook: Whether symlink_deploy.yml does it; otherwise symlink_deploy.sh.
    start: What starts the first release, once ``current`` leads to it. A script of the shell.
    restart: What makes the app run what ``current`` leads to; of the playbook, where PM2 runs the app.
    stop: What ends it.
    """

    app: str
    way: str
    playbook: bool
    start: str
    restart: str
    stop: str

    @property
    def home(self) -> str:
        return f"/opt/rival/{self.app}"

    def prepare(self, commit: str) -> None:
        """Stop what serves, and have this serve a first release in its place."""
        ports = serving_ports(self.app)
        world.must_on_host(PREPARE, self.app, self.home, ports[0])
        # The first deploy finds nothing that it could restart.
        world.must_on_host(SCRIPT, self.home, repository(self.app), commit, self.app, "true")
        world.must_on_host(self.start, self.home, *ports)

    def end(self) -> None:
        world.must_on_host(self.stop, self.home, *serving_ports(self.app))

    def deploy(self, commit: str) -> tuple[bool, list[figures.Step]]:
        """Bring a commit into service: whether it was said to be well, and its steps."""
        if self.playbook:
            units = unit_names(self.app) if self.app == "voicedrive-api" else []
            variables: dict[str, Any] = {"rival_home": self.home, "rival_app": self.app, "rival_commit": commit}
            variables |= {"rival_repository": repository(self.app), "rival_units": units, "rival_pm2": self.restart}
            well, lines = world.play(str(world.HERE / "symlink_deploy.yml"), variables)
            return well, figures.steps_of_tasks(lines)
        well, said = world.on_host(SCRIPT, self.home, repository(self.app), commit, self.app, self.restart)
        return well, figures.steps_of_script(said) if well else []


def repository(app: str) -> str:
    return f"git://outside.test/{app}.git"


def serving_ports(app: str) -> list[str]:
    """The ports that nginx passes the app's requests on to."""
    config = world.must_on_host("cat /etc/nginx/conf.d/upstreams.conf")
    block = config.partition(f"upstream {app} {{")[2].partition("\n}")[0]
    return re.findall(r"server 127\.0\.0\.1:(\d+)", block)


def unit_names(app: str) -> list[str]:
    return [f"rival-{app}@{port}.service" for port in serving_ports(app)]


def pm2(home: str, words: str) -> str:
    """A command of PM2, as the app's user, with a daemon of its own."""
    app = home.rpartition("/")[2]
    variables = f"env PATH={world.PATH} HOME={home} PM2_HOME={home}/.pm2"
    return f"setpriv --reuid={app} --regid={app} --init-groups {variables} pm2 {words}"


# APP HOME PORT: stops all of the app, and makes the place of a rival, whose environment is what ours had.
PREPARE = """set -eu
app=$1 home=$2 port=$3
systemctl stop "pm2@$app.*" "$app@*" "$app-b@*"
rm -rf "$home"
install -d -o "$app" -g "$app" "$home" "$home/releases" "$home/shared"
sed "s/^PORT=.*/PORT=$port/" "/opt/$app/slots/$(basename "$(readlink "/opt/$app/current")").env" >"$home/shared/.env"
chown "$app:" "$home/shared/.env"
chmod 0600 "$home/shared/.env"
"""
# HOME PORT...: the unit of ours, with another directory and another file of the environment.
UNITS = """set -eu
home=$1 app=$(basename "$1"); shift
from=/etc/systemd/system/$app
[ -e "$from@.service" ] || from=$from-b
to=/etc/systemd/system/rival-$app
other="s#^WorkingDirectory=.*#WorkingDirectory=$home/current#; s#^EnvironmentFile=.*#EnvironmentFile=$home/shared/.env#"
sed "$other" "$from@.service" >"$to@.service"
rm -rf "$to@.service.d"
cp -r "$from@.service.d" "$to@.service.d"
systemctl daemon-reload
for port in "$@"; do systemctl start "rival-$app@$port.service"; done
sleep 3
"""
STOP_UNITS = 'systemctl stop "rival-$(basename "$1")@*.service"'


def rivals() -> list[Rival]:
    """All of them, in the order in which they have their turn."""
    medical, voicedrive = "medical-api", "voicedrive-api"
    home = f"/opt/rival/{medical}"
    stop = pm2(home, "kill >/dev/null")
    ecosystem = json.dumps({"apps": [{"name": medical, "script": "server.js", "cwd": f"{home}/current", **CLUSTER}]})
    by_file = (
        f"cat >{home}/ecosystem.json <<'END'\n{ecosystem}\nEND\n" + pm2(home, f"start {home}/ecosystem.json") + " >&2"
    )
    in_place = f"cd {home}/current\n" + pm2(home, f"start server.js --name {medical} {PM2_OPTIONS}") + " >&2"
    reload = pm2(home, f"reload {medical}")
    restart = f"systemctl restart 'rival-{voicedrive}@*.service'"
    return [
        Rival(medical, "pm2 reload, started in current/", False, in_place, reload, stop),
        Rival(medical, "pm2 reload, current/ in its file", False, by_file, reload, stop),
        Rival(medical, "symlink playbook, pm2 reload", True, by_file, reload, stop),
        Rival(voicedrive, "systemctl restart", False, UNITS, restart, STOP_UNITS),
        Rival(voicedrive, "symlink playbook, systemd", True, UNITS, restart, STOP_UNITS),
    ]
