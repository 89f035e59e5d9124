"""The part of a fleet file that is moto's: EC2, target groups and RDS, put there through their own API."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.exceptions
from ansible_collections.minato.fleet.tests.aws import target_groups
from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError, Item, ports_of, text
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from werkzeug.test import Client

IMAGE = "ami-12c6146b"
TYPE = "t3.small"
DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306}


class _Body(io.BytesIO):
    def stream(self, **_options: Any) -> Iterator[bytes]:
        """Yield it in pieces, as urllib3's answers do."""
        while piece := self.read():
            yield piece


class Moto:
    """One account's region; its calls go straight into the application, so that it need not be served yet."""

    def __init__(self, application: Callable[..., Any], account: str, region: str) -> None:
        self._web = Client(application)
        self._account = account
        self._region = region

    @functools.cached_property
    def _ec2(self) -> Any:
        return self._client("ec2")

    @functools.cached_property
    def _elbv2(self) -> Any:
        return self._client("elbv2")

    @functools.cached_property
    def _rds(self) -> Any:
        return self._client("rds")

    def _client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        client = boto3.client(service, region_name=self._region, endpoint_url="http://cloud.test", **keys)
        client.meta.events.register("before-send", self._send)
        return client

    def _send(self, request: AWSPreparedRequest, **_event: Any) -> AWSResponse:
        headers = {**dict(request.headers.items()), "x-moto-account-id": self._account}
        told = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
        answer = self._web.open(request.url, method=request.method, headers=told, data=request.body)
        return AWSResponse(request.url, answer.status_code, dict(answer.headers), _Body(answer.get_data()))

    def put_instance(self, item: Item) -> None:
        """Start an instance of EC2."""
        tags = [{"Key": "Name", "Value": item["name"]}]
        tags += [{"Key": key, "Value": text(value)} for key, value in item.get("tags", {}).items()]
        wanted: dict[str, Any] = {
            "ImageId": item.get("image", IMAGE),
            "InstanceType": item.get("type", TYPE),
            "MinCount": 1,
            "MaxCount": 1,
            "Placement": {"AvailabilityZone": self._region + item.get("zone", "a")},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        }
        if "private_ip" in item:
            wanted["PrivateIpAddress"] = item["private_ip"]
        if "key_pair" in item:
            wanted["KeyName"] = item["key_pair"]
        try:
            if "ports" in item:
                wanted["SecurityGroupIds"] = [self._security_group(item)]
            identity = self._ec2.run_instances(**wanted)["Instances"][0]["InstanceId"]
            if "public_ip" in item:
                held = self._ec2.allocate_address(Domain="vpc", Address=item["public_ip"])["AllocationId"]
                self._ec2.associate_address(AllocationId=held, InstanceId=identity)
            if item.get("state") == "stopped":
                self._ec2.stop_instances(InstanceIds=[identity])
            elif item.get("state") == "terminated":
                self._ec2.terminate_instances(InstanceIds=[identity])
        except (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError) as error:
            raise FleetError(str(error)) from error

    def _security_group(self, item: Item) -> str:
        group: str = self._ec2.create_security_group(GroupName=item["name"], Description="of the fleet")["GroupId"]
        rules = [
            {
                "IpProtocol": port["protocol"],
                "FromPort": port["fromPort"],
                "ToPort": port["toPort"],
                "IpRanges": [{"CidrIp": cidr} for cidr in port["cidrs"] or ["0.0.0.0/0"]],
                "Ipv6Ranges": [{"CidrIpv6": cidr} for cidr in port["ipv6Cidrs"]],
            }
            for port in ports_of(item)
        ]
        self._ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
        return group

    def put_target_group(self, item: Item) -> None:
        """Make a target group, with instances that are healthy at once."""
        port = item.get("port", 80)
        try:
            vpc = self._ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
            made = self._elbv2.create_target_group(Name=item["name"], Protocol="HTTP", Port=port, VpcId=vpc)
            arn = made["TargetGroups"][0]["TargetGroupArn"]
            for name in item.get("instances", []):
                self._elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": self._identity(name)}])
        except (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError) as error:
            raise FleetError(str(error)) from error
        failing = [self._identity(name) for name in item.get("failing", [])]
        target_groups.take_time(self._account, self._region, arn, failing)

    def _identity(self, name: str) -> str:
        found = self._ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])["Reservations"]
        if not found:
            raise FleetError(f"There is no instance {name}.")
        return str(found[0]["Instances"][0]["InstanceId"])

    def put_database(self, item: Item) -> None:
        """Create a database of RDS."""
        engine = item.get("engine", "postgres")
        wanted: dict[str, Any] = {
            "DBInstanceIdentifier": item["name"],
            "DBInstanceClass": item.get("class", "db.t3.micro"),
            "Engine": engine,
            "AllocatedStorage": item.get("storage", 20),
            "AvailabilityZone": self._region + item.get("zone", "a"),
            "DBName": item.get("database", "main"),
            "MasterUsername": item.get("user", "dbmaster"),
            "MasterUserPassword": item.get("password", "not-a-secret"),
            "PubliclyAccessible": item.get("public", False),
            "Port": item.get("port", DEFAULT_PORTS.get(engine, 5432)),
            "Tags": [{"Key": key, "Value": text(value)} for key, value in item.get("tags", {}).items()],
        }
        if "version" in item:
            wanted["EngineVersion"] = item["version"]
        try:
            self._rds.create_db_instance(**wanted)
            if item.get("state") == "stopped":
                self._rds.stop_db_instance(DBInstanceIdentifier=item["name"])
        except (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError) as error:
            raise FleetError(str(error)) from error
        if "address" in item:
            put_address(self._account, self._region, item["name"], item["address"])


def put_address(account: str, region: str, name: str, address: str) -> None:
    """Let a database of RDS answer somewhere; AWS chooses this itself, so the API has no way."""
    from moto.rds.models import rds_backends  # here: its import takes more than a second

    database = rds_backends[account][region].databases[name]
    database.__class__ = type("DBInstance", (type(database),), {"address": address})
