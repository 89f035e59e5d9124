"""Both inventory plugins in turn, as whole processes, on the same recorded answers: medians and ratios."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import typing as t
import urllib.request
from pathlib import Path

import replay
import yaml

ROUNDS = int(os.environ.get("ROUNDS", "5"))
ONLY = os.environ.get("CASES", "")
KEPT = Path(".ansible/bench-inventory")
HERE = Path(__file__).parent
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
# Where the time of the mixed fleet goes, line by line.
WHERE: list[str] = []
# Lightsail's own, and four that it has not.
REGIONS = (
    *("us-east-1", "ap-northeast-1", "eu-west-1", "us-west-2", "ap-northeast-2", "ap-south-1", "ap-southeast-1"),
    *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-2", "eu-west-3", "us-east-2"),
    *("ap-southeast-3", "sa-east-1", "us-west-1", "af-south-1", "eu-south-1", "ap-northeast-3"),
)
PLUGINS = {"ours": ("minato.fleet.aws_fleet", "fleet.yml"), "aws_ec2": ("amazon.aws.aws_ec2", "aws_ec2.yml")}
COMMANDS = {"list": ["ansible-inventory", "--list"], "list-hosts": ["ansible", "all", "--list-hosts"]}


class Ran(t.NamedTuple):
    """One process: how long it took, of that in Python itself, and how much memory at most."""

    seconds: float
    cpu: float
    megabytes: float


def main() -> None:
    cases = [case for case in yaml.safe_load((HERE / "cases.yml").read_text())["cases"] if ONLY in case["name"]]
    rows = []
    for case in cases:
        rows.append(measure(case))
        print(f"{case['name']}: " + ", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "results.json").write_text(
        json.dumps(dict(zip([case["name"] for case in cases], rows, strict=True)), indent=1)
    )
    print(f"\nmedians of {ROUNDS}\n")
    table(cases, rows)
    print(
        f"\nAnsible itself, with one host and no plugin: {floor('list')} s --list, {floor('list-hosts')} s --list-hosts"
    )
    for line in WHERE:
        print(line)


def floor(command: str) -> float:
    """What no plugin can be faster than."""
    ran = [run({"command": command, "name": "floor"}, Path("localhost,")).seconds for _round in range(ROUNDS)]
    return round(statistics.median(ran), 2)


def table(cases: list[dict[str, t.Any]], rows: list[dict[str, float]]) -> None:
    """The figures as they stand in docs/inventory.md."""
    print("| case | aws_ec2 | aws_fleet | ratio | asked | memory aws_ec2 | memory aws_fleet |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case, row in zip(cases, rows, strict=True):
        cells = [case["name"]]
        cells.append(f"{row['aws_ec2']:.2f} s" if "aws_ec2" in row else "-")
        cells.append(f"{row['ours']:.2f} s")
        cells.append(f"{row['aws_ec2'] / row['ours']:.1f} x" if "aws_ec2" in row else "-")
        cells.append(f"{case['asked']} x" if "asked" in case else "-")
        cells.append(f"{row['aws_ec2 MB']:.0f} MB" if "aws_ec2 MB" in row else "-")
        cells.append(f"{row['ours MB']:.0f} MB")
        print(f"| {' | '.join(cells)} |")


def measure(case: dict[str, t.Any]) -> dict[str, float]:
    """Record if need be, then run the plugins in turn."""
    plugins = [case["only"]] if "only" in case else list(PLUGINS)
    answers = recorded(case, plugins)
    command = [sys.executable, str(HERE / "replay.py"), str(answers), str(case.get("latency", 0.0))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            ran = measured(case, plugins, int(server.stdout.readline()) if server.stdout else 0)
        finally:
            server.terminate()
    found: dict[str, float] = {}
    for name, those in ran.items():
        found[name] = round(statistics.median(one.seconds for one in those), 3)
        found[f"{name} CPU"] = round(statistics.median(one.cpu for one in those), 3)
        found[f"{name} MB"] = round(statistics.median(one.megabytes for one in those), 1)
    return found


def measured(case: dict[str, t.Any], plugins: list[str], port: int) -> dict[str, list[Ran]]:
    """Every run of every plugin."""

    def calls() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_calls") as answer:
            return int(answer.read())

    with tempfile.TemporaryDirectory() as directory:
        files = {name: write(case, name, Path(directory), port) for name in plugins}
        if case.get("cache"):
            for file in files.values():
                run(case, file)
        before = calls()
        ran: dict[str, list[Ran]] = {name: [] for name in plugins}
        for _round in range(ROUNDS):
            for name, file in files.items():
                ran[name].append(run(case, file))
        if case.get("cache") and calls() != before:
            sys.exit(f"{case['name']}: a warm run made {calls() - before} calls.")
        if "only" in case:
            where_it_goes(case, files[plugins[0]])
    return ran


def where_it_goes(case: dict[str, t.Any], file: Path) -> None:
    """What the plugin itself says of its time."""
    told = subprocess.run(
        ["ansible-inventory", "-i", str(file), "--list", "-vv"],
        env={**os.environ, **KEYS},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (told.stdout + told.stderr).splitlines()
    WHERE.append(f"\n{case['name']}:")
    WHERE.extend(f"  {line}" for line in lines if line.startswith("aws_fleet: ") or line.endswith(" s"))


def run(case: dict[str, t.Any], file: Path) -> Ran:
    """One process, from its start to its end."""
    command, *arguments = COMMANDS[case["command"]]
    environment = {
        **os.environ,
        **KEYS,
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-IS", str(HERE / "measured.py"), command, "-i", str(file), *arguments],
        capture_output=True,
        env=environment,
        text=True,
        check=True,
    )
    *figures, code = json.loads(ran.stdout)
    if code:
        sys.exit(f"{case['name']}: {file.name} failed:\n{ran.stderr}")
    return Ran(*figures)


def write(case: dict[str, t.Any], name: str, directory: Path, port: int) -> Path:
    """The plugin's inventory file."""
    plugin, suffix = PLUGINS[name]
    said: dict[str, t.Any] = {"plugin": plugin, "endpoint_url": f"http://127.0.0.1:{port}", **case["file"]}
    if case.get("regions") == "all":
        said["region"] = "us-east-1"
    else:
        said["regions"] = regions(case)[: case.get("ask")]
    if name == "ours":
        said["services"] = [
            service for service in ("lightsail", "ec2", "lightsail_database", "rds") if service in case["hosts"]
        ]
        if case.get("regions") == "all":
            said["regions"] = ["all"]
    if case.get("cache"):
        said.update(cache=True, cache_plugin="ansible.builtin.jsonfile", cache_connection=str(directory / name))
    path = directory / f"{name}.{suffix}"
    path.write_text(yaml.safe_dump(said))
    return path


def regions(case: dict[str, t.Any]) -> list[str]:
    """The regions in which a case has hosts."""
    count = case.get("regions", 1)
    return REGIONS[: 1 if count == "all" else count]


def recorded(case: dict[str, t.Any], plugins: list[str]) -> Path:
    """The file of a case's answers, made on the emulated cloud if there is none."""
    key = f"{case['hosts']}-{case.get('regions', 1)}-{case.get('ask', '')}"
    file = KEPT / ("".join(letter for letter in key if letter.isalnum() or letter == "-") + ".pickle")
    if file.exists():
        return file
    with tempfile.TemporaryDirectory() as directory:
        fleet = Path(directory) / "fleet.yml"
        fleet.write_text(yaml.safe_dump(fleet_of(case)))
        cloud = subprocess.Popen(
            [sys.executable, "-m", "ansible_collections.minato.fleet.tests.aws", "--port", "0", "--fleet", str(fleet)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": ".ansible/collections"},
        )
        try:
            ready = cloud.stdout.readline() if cloud.stdout else ""
            start(case, ready.split()[-1])
            server = replay.Replay(file, upstream=ready.split()[-1])
            port = server.listen()
            if "aws_ec2" in plugins and case.get("regions") != "all":
                ask_as_aws_ec2(case, port)
            for name in plugins:
                # The emulated cloud takes its time over thousands of hosts.
                patience = {"timeout": 3600, "region_timeout": 3600} if name == "ours" else {}
                slow = {**case, "cache": False, "file": {**case["file"], **patience}}
                run(slow, write(slow, name, Path(directory), port))
            server.save()
        finally:
            cloud.terminate()
            cloud.wait()
    return file


def client(region: str, url: str) -> t.Any:
    """boto3's own, which waits as long as it takes."""
    import boto3
    import botocore.config

    config = botocore.config.Config(read_timeout=3600, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("ec2", region_name=region, endpoint_url=url, config=config, **keys)


def start(case: dict[str, t.Any], url: str) -> None:
    """The EC2 instances of a case, spread over its regions.

    One at a time: EC2 pages by instances, the emulated cloud by reservations.
    """
    places = regions(case)
    share, rest = divmod(case["hosts"].get("ec2", 0), len(places))
    for place, region in enumerate(places):
        ec2 = client(region, url)
        count = share + (place < rest)
        image = ec2.describe_images()["Images"][0]["ImageId"] if count else ""
        for number in range(count):
            kind = ("t3.micro", "t3.small", "m5.large")[number // 20 % 3]
            tags = [{"Key": key, "Value": value} for key, value in tags_of(number // 20).items()]
            spec = [{"ResourceType": "instance", "Tags": tags}]
            ec2.run_instances(ImageId=image, InstanceType=kind, MinCount=1, MaxCount=1, TagSpecifications=spec)


def ask_as_aws_ec2(case: dict[str, t.Any], port: int) -> None:
    """What aws_ec2 is going to ask; it would not wait for so long itself."""
    states = ["running", "pending", "stopping", "stopped"]
    for region in regions(case):
        paginator = client(region, f"http://127.0.0.1:{port}").get_paginator("describe_instances")
        for _page in paginator.paginate(Filters=[{"Name": "instance-state-name", "Values": states}]):
            pass


def tags_of(number: int) -> dict[str, str]:
    """Tags as a fleet has them."""
    env = ("production", "staging")[number % 2]
    return {"env": env, "host_type": "node web", "apps": "medical-api", "Role": f"role{number % 20}"}


def fleet_of(case: dict[str, t.Any]) -> dict[str, t.Any]:
    """The hosts of a case that are no EC2 instances, spread over its regions."""
    found: dict[str, t.Any] = {}
    places = regions(case)
    for service, count in case["hosts"].items():
        for number in range(count if service != "ec2" else 0):
            region = found.setdefault(places[number % len(places)], {})
            item: dict[str, t.Any] = {"name": f"{service.replace('_', '-')}-{number:05d}"}
            if service == "lightsail":
                more = {"auto_snapshot": "18:00", "auto_snapshot_ages": [29, 5]} if number % 4 == 0 else {}
                one = {**item, "tags": tags_of(number), **more}
                region.setdefault("lightsail", {}).setdefault("instances", []).append(one)
            elif service == "rds":
                region.setdefault("rds", {"databases": []})["databases"].append({**item, "engine": "postgres"})
            else:
                region.setdefault("lightsail", {}).setdefault("databases", []).append(item)
    return {"regions": found}


if __name__ == "__main__":
    # One process at a time, and none of them in the way of others.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
