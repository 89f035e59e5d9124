# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From units as people write them to what unit files say: defaults, quoting, and what is refused. Pure functions."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, Mapping, Sequence

from ansible.module_utils.parsing.convert_bool import boolean

Item = Dict[str, Any]
Items = Sequence[Mapping[str, Any]]

DIRECTORY = "/etc/systemd/system"

# What leaving a key out means; meta/argument_specs.yml says the same.
UNIT: Item = {
    "description": "",
    "type": "",
    "group": "",
    "supplementary_groups": [],
    "working_directory": "",
    "environment": {},
    "environment_files": [],
    "instances": [],
    "timer": {},
    "socket": {},
    "memory_max": "",
    "cpu_quota": "",
    "tasks_max": 512,
    "restart": "always",
    "restart_sec": 5,
    "start_limit_burst": 5,
    "start_limit_interval": 10,
    "start_timeout": 90,
    "stop_timeout": 30,
    "capabilities": [],
    "read_write_paths": [],
    "network": "allow",
    "jit": False,
    "umask": "0027",
    "settings": {},
    "exposure_max": 2.5,
    "wants": ["network-online.target"],
    "requires": [],
    "after": ["network-online.target"],
    "identifier": "",
    "restart_on": [],
    "min_uptime": 2,
    "health_url": "",
    "health_timeout": 30,
    "warm_up_url": "",
    "enabled": True,
    "state": "started",
}
TIMER: Item = {
    "on_calendar": [],
    "on_boot": "",
    "every": "",
    "persistent": True,
    "randomized_delay": "0",
    "accuracy": "1min",
}
SOCKET: Item = {"listen": [], "user": "root", "group": "root", "mode": "0660"}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIZE = re.compile(r"[1-9]\d*[KMGT]?|[1-9]\d?%|100%")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
_HIDDEN = ("/home", "/root", "/run/user")
_OWN_SETTINGS = ("User", "Group", "ExecStart", "Type", "Environment", "EnvironmentFile", "WorkingDirectory")


def complete(item: Mapping[str, Any], defaults: Item) -> Item:
    """Return the item with its defaults; a key without a value means its default, and "no" is no."""
    given = {key: value for key, value in item.items() if value is not None}
    flags = {key: boolean(given[key]) for key, value in defaults.items() if isinstance(value, bool) and key in given}
    return {**defaults, **given, **flags}


def complete_units(units: Items) -> list[Item]:
    """Return the units with every default, also those that follow from the kind of a unit."""
    found = [complete(unit, UNIT) for unit in units]
    for unit in found:
        unit["timer"] = complete(unit["timer"], TIMER) if unit["timer"] else {}
        unit["socket"] = complete(unit["socket"], SOCKET) if unit["socket"] else {}
        unit["type"] = unit["type"] or ("oneshot" if unit["timer"] else "exec")
        if unit["type"] == "oneshot" and unit["restart"] == "always":  # systemd would refuse it
            unit["restart"] = "no"
        unit["description"] = unit["description"] or unit["name"]
        unit["identifier"] = unit["identifier"] or unit["name"]
    return found


def activation(unit: Mapping[str, Any]) -> str:
    """Say what starts a unit: `service` (itself, at boot), `timer` or `socket`."""
    return "timer" if unit["timer"] else "socket" if unit["socket"] else "service"


def literal(text: Any, instances: Any) -> str:
    """Write text so that systemd takes it as it is; only `%i` stays special, and only in a template unit."""
    return re.sub(r"%(?!i)" if instances else "%", "%%", str(text))


def word(text: Any, instances: Any) -> str:
    """Write one argument of a command, or one `KEY=value`, so that the process gets it as it is."""
    said = literal(text, instances)
    # JSON's escapes are among systemd's.
    return said if _PLAIN_WORD.fullmatch(said) else json.dumps(said, ensure_ascii=False)


def rendered(unit: Mapping[str, Any]) -> Item:
    """Return a complete unit with the strings that its files print."""
    many = unit["instances"]

    def each(values: Sequence[Any]) -> list[str]:
        return [literal(value, many) for value in values]

    return {
        **unit,
        "activation": activation(unit),
        "timer": {**unit["timer"], "on_calendar": _listed(unit["timer"]["on_calendar"])} if unit["timer"] else {},
        "description": literal(unit["description"], many),
        "working_directory": literal(unit["working_directory"] or "/", many),
        "environment": [word(f"{key}={value}", many) for key, value in unit["environment"].items()],
        "environment_files": each(unit["environment_files"]),
        # The colon: systemd leaves a dollar alone.
        "exec_start": ":" + " ".join(word(argument, many) for argument in unit["command"]),
        "read_write_paths": [word(path, many) for path in unit["read_write_paths"]],
        "settings": [[key, _setting(value)] for key, given in unit["settings"].items() for value in _listed(given)],
    }


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def model(units: Items) -> Item:
    """Return what the role hands on: unit files, names to verify, limits of exposure, and the module's list.

    `files`: for config_tree. `verify`: unit names. `mine`: words of which systemd's own messages about these units
    hold one. `exposure`: `PATH:TENTHS:NAME` for each service. `units`: for the module systemd_units.
    """
    files: list[Item] = []
    verify: list[str] = []
    mine: list[str] = []
    exposure: list[str] = []
    listed: list[Item] = []
    for unit in complete_units(units):
        name, kind = unit["name"], activation(unit)
        stem = f"{name}@" if unit["instances"] else name
        kinds = ["service"] + ([kind] if kind != "service" else [])
        for each in kinds:
            template = f"etc/systemd/system/unit.{each}.j2"
            files.append({"path": f"{DIRECTORY}/{stem}.{each}", "template": template, "vars": {"unit": rendered(unit)}})
            verify.append(f"{name}@{unit['instances'][0]}.{each}" if unit["instances"] else f"{name}.{each}")
            mine.append(f"{stem}" if unit["instances"] else f"{name}.{each}")
        sandbox = f"{DIRECTORY}/{stem}.service.d/sandbox.conf"
        template = "etc/systemd/system/unit.service.d/sandbox.conf.j2"
        files.append({"path": sandbox, "template": template, "vars": {"unit": rendered(unit)}})
        exposure.append(f"{DIRECTORY}/{stem}.service:{round(float(unit['exposure_max']) * 10)}:{name}")
        keys = ("name", "instances", "working_directory", "min_uptime", "exposure_max")
        asked = ("health_url", "health_timeout", "warm_up_url")
        files_read = [path.lstrip("-") for path in unit["environment_files"]]
        listed.append(
            {
                **{key: unit[key] for key in (*keys, *asked, "enabled", "state")},
                "activation": kind,
                "restart_on": list(dict.fromkeys([*files_read, *unit["restart_on"]])),
            }
        )
    return {"files": files, "verify": verify, "mine": mine, "exposure": exposure, "units": listed}


def problems(units: Items) -> list[str]:
    """Return what cannot work, one sentence each."""
    names = [str(unit["name"]) for unit in units]
    found = [
        f"systemd_unit_units has {name} {names.count(name)} times. Give each unit a name of its own."
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    for unit in complete_units(units):
        found += [f"{unit['name']}: {said}" for said in _problems_of(unit)]
    return found


def _problems_of(unit: Item) -> Iterator[str]:
    if not _NAME.fullmatch(unit["name"]) or unit["name"].endswith((".service", ".timer", ".socket")):
        yield "this is no name for a unit. Write letters, digits, dots and dashes, without .service behind it."
    if unit["user"] in ("root", "0"):
        yield "user root is refused. Name an ordinary user, and under capabilities what it needs beyond that."
    yield from _problems_of_kind(unit)
    yield from _problems_of_command(unit)
    yield from _problems_of_paths(unit)
    yield from _problems_of_limits(unit)


def _problems_of_kind(unit: Item) -> Iterator[str]:
    instances = [str(each) for each in unit["instances"]]
    wrong = [each for each in instances if not _NAME.fullmatch(each)]
    if wrong:
        yield f"instances has {wrong[0]!r}. Write letters, digits, dots and dashes, such as a port."
    if len(set(instances)) != len(instances):
        yield "instances has one of them twice. Keep one."
    if instances and activation(unit) != "service":
        yield f"a unit with a {activation(unit)} has no instances. Write a unit for each."
    if unit["timer"] and unit["socket"]:
        yield "it has a timer and a socket. Write two units."
    if unit["timer"] and not any(unit["timer"][key] for key in ("on_calendar", "on_boot", "every")):
        yield "its timer never elapses. Write on_calendar, on_boot or every."
    if unit["socket"] and not unit["socket"]["listen"]:
        yield "its socket listens on nothing. Write under listen a port, an address with a port, or a path."
    if not instances and "%i" in json.dumps([unit[key] for key in _WITH_INSTANCE]):
        yield "it says %i, the name of the instance, and has no instances. List them, or write what is meant."
    if unit["health_url"] and not _URL.fullmatch(unit["health_url"]):
        yield f"health_url {unit['health_url']!r} is no URL. Write it as http://127.0.0.1:8000/health."
    if unit["health_url"] and unit["timer"]:
        yield "it has a timer, so nothing of it runs that could answer under health_url. Leave that out."


_WITH_INSTANCE = (
    *("description", "command", "environment", "working_directory", "environment_files"),
    *("read_write_paths", "restart_on", "health_url"),
)


def _problems_of_command(unit: Item) -> Iterator[str]:
    command = [str(each) for each in unit["command"]]
    if not command or not command[0].startswith("/"):
        first = command[0] if command else "nothing"
        yield f"command starts with {first!r}. Write the program with its whole path, then each argument by itself."
    if any("\0" in each for each in command):
        yield "command holds a null character. Leave it out."
    for key in unit["environment"]:
        if not _VARIABLE.fullmatch(str(key)):
            yield f"environment has {key!r}. Write a name of letters, digits and underscores."
    for key in unit["settings"]:
        if not re.fullmatch(r"[A-Za-z0-9]+", str(key)):
            yield f"settings has {key!r}. Write the name of a setting of systemd's section [Service]."
        elif key in _OWN_SETTINGS:
            yield f"settings has {key}, which the unit has a key for. Write it there."
    if any("\n" in str(value) for given in unit["settings"].values() for value in _listed(given)):
        yield "settings goes over several lines. Write one."
    for text in ("description", "identifier", "working_directory", "group"):
        if "\n" in str(unit[text]):
            yield f"{text} goes over several lines. Write one."


def _problems_of_paths(unit: Item) -> Iterator[str]:
    paths = {
        "working_directory": [unit["working_directory"]] if unit["working_directory"] else [],
        "environment_files": [path.lstrip("-") for path in unit["environment_files"]],
        "read_write_paths": [path.lstrip("-+") for path in unit["read_write_paths"]],
        "restart_on": unit["restart_on"],
    }
    for key, listed in paths.items():
        for path in listed:
            if not path.startswith("/") or "\n" in path:
                yield f"{key} has {path!r}. Write an absolute path."
    if "ProtectHome" not in unit["settings"]:
        for path in [unit["working_directory"], *[str(each) for each in unit["command"][:1]]]:
            if any(path == place or path.startswith(place + "/") for place in _HIDDEN):
                yield (
                    f"{path} lies where the sandbox hides everything. Put the app under /opt, or write"
                    " settings: {ProtectHome: read-only}."
                )


def _problems_of_limits(unit: Item) -> Iterator[str]:
    if unit["memory_max"] and not _SIZE.fullmatch(str(unit["memory_max"])):
        yield f"memory_max {unit['memory_max']!r} is no size. Write a number with K, M or G behind it, such as 512M."
    if unit["cpu_quota"] and not re.fullmatch(r"[1-9]\d*%", str(unit["cpu_quota"])):
        yield f"cpu_quota {unit['cpu_quota']!r} is no share. Write per cent of one CPU, such as 50% or 200%."
    for capability in unit["capabilities"]:
        if not re.fullmatch(r"CAP_[A-Z_]+", capability):
            yield f"capabilities has {capability!r}. Write it as capabilities(7) does, such as CAP_NET_BIND_SERVICE."
    for key in ("restart_sec", "start_limit_burst", "start_limit_interval", "min_uptime", "health_timeout"):
        if float(unit[key]) < 0:
            yield f"{key} is below 0. Write 0 or more."
    for key in ("start_timeout", "stop_timeout", "tasks_max"):
        if int(unit[key]) < 1:
            yield f"{key} is {unit[key]}. Write 1 or more."
