# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Talking to AWS: one loader for all, one session an account, clients when they are needed; errors in a sentence."""

from __future__ import annotations

import threading
import typing as t
import xml.etree.ElementTree as ET
from collections.abc import Callable

from ansible_collections.minato.fleet.plugins.plugin_utils import aws_facts
from ansible_collections.minato.fleet.plugins.plugin_utils.aws_options import Account

try:
    import botocore.config
    import botocore.exceptions
    import botocore.session
    from botocore.loaders import Loader
    from botocore.parsers import EC2QueryParser, ResponseParserError, ResponseParserFactory
except ImportError as error:
    # Said when the cloud is asked.
    MISSING: str = str(error)
    FAILURES: tuple[t.Any, ...] = ()
    UNREADABLE: tuple[t.Any, ...] = ()
    EC2QueryParser = Loader = ResponseParserFactory = object
else:
    MISSING = ""
    FAILURES = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)
    UNREADABLE = (ResponseParserError, ValueError)

# Asks one operation in one region, and returns its answer; raises CallError.
Ask = Callable[..., dict[str, t.Any]]
API = {"lightsail": "lightsail", "lightsail_database": "lightsail", "ec2": "ec2", "elbv2": "elbv2", "rds": "rds"}
# Where AWS's policies name a service otherwise.
_POLICIES = {"elbv2": "elasticloadbalancing"}
_CALLS = {
    "ec2": {
        *("DescribeInstances", "DescribeInstanceTypes", "DescribeRegions", "DescribeSecurityGroups"),
        "DescribeVolumes",
    },
    "elbv2": {"DeregisterTargets", "DescribeTargetGroups", "DescribeTargetHealth", "RegisterTargets"},
    "lightsail": {
        *("GetAutoSnapshots", "GetBundles", "GetInstanceAccessDetails", "GetInstances", "GetRelationalDatabaseBundles"),
        *("GetRelationalDatabases", "GetLoadBalancer"),
        *("AttachInstancesToLoadBalancer", "DetachInstancesFromLoadBalancer"),
    },
    "rds": {"DescribeDBInstances"},
}

_CREDENTIALS = {
    *("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"),
    *("InvalidSignatureException", "InvalidAccessKeyId", "IncompleteSignature", "MissingAuthenticationToken"),
    *("UnauthenticatedException", "NotAuthorized"),
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_FORBIDDEN = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedAccess"}
_DISABLED = {"OptInRequired", "RegionDisabledException"}
_THROTTLED = {
    *("RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"),
    *("RequestThrottled", "RequestThrottledException", "SlowDown", "BandwidthLimitExceeded", "EC2ThrottledException"),
}
# Exceptions by name, so that nothing of botocore is needed to say it.
_CLOSED = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"),
    *("ProxyConnectionError", "SSLError"),
}
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("TokenRetrievalError", "SSOError", "NoAuthTokenError"),
}


# What to do, as the file of an inventory can.
REMEDIES = {
    "silent": "Check the network, take it out of regions, or write on_error: warn.",
    "forbidden": "Allow it, or take the service out of services.",
    "disabled": "Enable it, or take it out of regions.",
    "throttled": "Write cache: true to ask less often, or raise retries.",
}


class Asking(t.Protocol):
    """Whom to ask, and with what patience: of an inventory's options those that are about asking."""

    @property
    def accounts(self) -> tuple[Account, ...]: ...
    @property
    def region(self) -> str: ...
    @property
    def endpoint_url(self) -> str: ...
    @property
    def workers(self) -> int: ...
    @property
    def timeout(self) -> float: ...
    @property
    def retries(self) -> int: ...


class CallError(Exception):
    """A call that failed; the text is a sentence, the kind what to do about it, the code AWS's own word for it."""

    def __init__(self, kind: str, message: str, code: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code


class _Parser(EC2QueryParser):
    """botocore's own, except for the one answer that is large: of it only what is wanted is read."""

    def __init__(self, wanted: aws_facts.Wanted, lock: threading.Lock, readers: dict[str, aws_facts.Reader]) -> None:
        super().__init__()
        self._wanted, self._lock, self._readers = wanted, lock, readers

    def parse(self, response: dict[str, t.Any], shape: t.Any) -> dict[str, t.Any]:
        if shape is None or shape.name != "DescribeInstancesResult" or response["status_code"] != 200:
            return t.cast("dict[str, t.Any]", super().parse(response, shape))
        with self._lock:
            if "instance" not in self._readers:
                instance = shape.members["Reservations"].member.members["Instances"].member
                self._readers["instance"] = aws_facts.reader(instance, self._wanted)
        try:
            found, token = aws_facts.read_instances(response["body"], self._readers["instance"])
        except ET.ParseError:
            # What is no XML gets botocore's own answer to it, and is asked again.
            return t.cast("dict[str, t.Any]", super().parse(response, shape))
        meta = {"HTTPStatusCode": 200, "HTTPHeaders": dict(response["headers"])}
        return {"Facts": found, **({"NextToken": token} if token else {}), "ResponseMetadata": meta}


class _ParserFactory(ResponseParserFactory):
    def __init__(self, wanted: aws_facts.Wanted) -> None:
        super().__init__()
        self._wanted = wanted
        self._lock = threading.Lock()
        self._readers: dict[str, aws_facts.Reader] = {}

    def create_parser(self, protocol_name: str) -> t.Any:
        if protocol_name == "ec2":
            return _Parser(self._wanted, self._lock, self._readers)
        return super().create_parser(protocol_name)


class _Loader(Loader):
    """botocore's own, which knows no more calls than are made here: a client is made of all that its loader knows."""

    def __init__(self) -> None:
        super().__init__()
        self._models: dict[str, t.Any] = {}

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> t.Any:
        if type_name != "service-2" or service_name not in _CALLS:
            return super().load_service_model(service_name, type_name, api_version)
        if service_name not in self._models:
            model = super().load_service_model(service_name, type_name, api_version)
            calls = {name: call for name, call in model["operations"].items() if name in _CALLS[service_name]}
            self._models[service_name] = {**model, "operations": calls}
        return self._models[service_name]


class Cloud:
    """Sessions and clients of all accounts."""

    def __init__(
        self, options: Asking, wanted: aws_facts.Wanted, agent: str, remedies: t.Mapping[str, str] | None = None
    ) -> None:
        if MISSING:
            raise CallError("other", f"{MISSING} on the controller. Install the Python library botocore.")
        self._options = options
        self._remedies = remedies
        self._loader = _Loader()
        self._factory = _ParserFactory(wanted)
        self._config = botocore.config.Config(
            connect_timeout=options.timeout,
            read_timeout=options.timeout,
            retries={"mode": "standard", "total_max_attempts": options.retries + 1},
            max_pool_connections=options.workers,
            user_agent_extra=agent,
        )
        self._sessions: dict[str, t.Any] = {}
        # Making clients is no work for several threads at once; asking is, and taking on a role asks.
        self._lock = threading.Lock()
        self._locks = {account.name: threading.Lock() for account in options.accounts}
        self._clients: dict[tuple[str, str, str], t.Any] = {}
        self._regions: dict[str, list[str]] = {}

    def session(self, account: Account) -> t.Any:
        """The session of an account, its role taken on."""
        with self._locks[account.name]:
            if account.name not in self._sessions:
                self._sessions[account.name] = self._session(account)
            return self._sessions[account.name]

    def region(self, account: Account) -> str:
        """The region of the file, the environment or the profile."""
        return self._options.region or str(self.session(account).get_config_variable("region") or "")

    def lacks(self, service: str, region: str) -> bool:
        """Whether a region is known to lack a service: Lightsail is not everywhere. A new one is not known to."""
        if API[service] != "lightsail" or region in self.regions_of(service):
            return False
        session = self.session(self._options.accounts[0])
        return region in self.regions_of("ec2") or session.get_partition_for_region(region) != "aws"

    def regions_of(self, service: str) -> list[str]:
        """Where a service is, as far as this botocore knows."""
        if service not in self._regions:
            session = self.session(self._options.accounts[0])
            self._regions[service] = session.get_available_regions(API[service])
        return self._regions[service]

    def ask(self, account: Account, service: str, region: str) -> Ask:
        """A function that asks one service of one region."""

        def call(operation: str, /, api: str = API[service], **parameters: t.Any) -> dict[str, t.Any]:
            try:
                client = self._client(account, api, region)
                return t.cast("dict[str, t.Any]", getattr(client, operation)(**parameters))
            except (*FAILURES, *UNREADABLE) as error:
                raise self._explained(error, place(account, service, region), action(api, operation)) from error

        return call

    def _client(self, account: Account, api: str, region: str) -> t.Any:
        session = self.session(account)
        with self._lock:
            key = (account.name, api, region)
            if key not in self._clients:
                self._clients[key] = session.create_client(
                    api, region_name=region, endpoint_url=self._options.endpoint_url or None, config=self._config
                )
            return self._clients[key]

    def _session(self, account: Account) -> t.Any:
        try:
            session = self._plain_session(account.profile)
            if account.access_key:
                session.set_credentials(account.access_key, account.secret_key, account.session_token or None)
            if session.get_credentials() is None:
                raise botocore.exceptions.NoCredentialsError
            return self._assumed(session, account) if account.role_arn else session
        except FAILURES as error:
            raise self._explained(error, f"account {account.name}" if account.name else "AWS", "") from error

    def _explained(self, error: Exception, where: str, operation: str) -> CallError:
        return explain(error, where, operation, self._options, self._remedies)

    def _plain_session(self, profile: str) -> t.Any:
        session = botocore.session.Session(profile=profile or None)
        session.register_component("data_loader", self._loader)
        session.register_component("response_parser_factory", self._factory)
        return session

    def _assumed(self, session: t.Any, account: Account) -> t.Any:
        region = self._options.region or session.get_config_variable("region") or "us-east-1"
        sts = session.create_client(
            "sts", region_name=region, endpoint_url=self._options.endpoint_url or None, config=self._config
        )
        more = {"ExternalId": account.external_id} if account.external_id else {}
        try:
            answer = sts.assume_role(RoleArn=account.role_arn, RoleSessionName="minato_fleet_inventory", **more)
        except botocore.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code not in _FORBIDDEN:
                raise
            raise CallError(
                "credentials",
                f"The role {account.role_arn} may not be taken on ({code}). Check its trust policy and sts:AssumeRole.",
            ) from error
        keys = answer["Credentials"]
        own = self._plain_session(account.profile)
        own.set_credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        return own


def place(account: Account, service: str, region: str) -> str:
    """How a sentence names where something was asked."""
    named = f" of account {account.name}" if account.name else ""
    return f"{service} in {region}{named}"


def action(api: str, operation: str) -> str:
    """A call as AWS's policies name it."""
    return f"{_POLICIES.get(api, api)}:{''.join(part.title() for part in operation.split('_')).replace('Db', 'DB')}"


def explain(
    error: Exception, where: str, operation: str, options: Asking, remedies: t.Mapping[str, str] | None = None
) -> CallError:
    """One sentence for an error of botocore, with what to do about it."""
    remedies = remedies or REMEDIES
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ProfileNotFound" in kinds:
        profile = getattr(error, "kwargs", {}).get("profile", "")
        return CallError(
            "credentials", f"The profile {profile} is not in the AWS configuration. Add it, or name another."
        )
    if kinds & _NO_CREDENTIALS:
        return CallError(
            "credentials",
            f"No usable AWS credentials for {where} ({type(error).__name__})."
            " Name a profile, log in to it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if kinds & _CLOSED:
        tries = f"{options.retries + 1} tries of {options.timeout:g} s"
        return CallError(
            "silent",
            f"{where} does not answer ({type(error).__name__}, {tries}). {remedies['silent']}",
        )
    if kinds & {"ValueError", "ResponseParserError"}:
        say = f"{where} answers what is none of AWS's answers."
        return CallError("silent", f"{say} A proxy or a login page may stand between.")
    response = getattr(error, "response", None)
    if response is None:
        return CallError("other", f"{where}: {operation} failed: {error}")
    code = response.get("Error", {}).get("Code", "")
    said = response.get("Error", {}).get("Message", "").rstrip(". ")
    if code in _CREDENTIALS:
        return CallError(
            "credentials",
            f"{where} does not accept the credentials ({code}). Check the profile or the keys;"
            " a region that is not enabled for the account answers so too.",
        )
    if code in _EXPIRED:
        return CallError("credentials", f"{where}: the credentials are no longer valid ({code}). Log in again.")
    if code in _FORBIDDEN:
        return CallError("forbidden", f"{where} refuses {operation} ({code}). {remedies['forbidden']}", code)
    if code in _DISABLED:
        return CallError("disabled", f"{where} is not enabled for the account ({code}). {remedies['disabled']}", code)
    if code in _THROTTLED:
        return CallError(
            "throttled",
            f"{where} was throttled, and still was after {options.retries + 1} tries ({code}). {remedies['throttled']}",
            code,
        )
    return CallError("other", f"{where}: {operation} failed: {code}: {said}.", code)
