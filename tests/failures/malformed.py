"""What providers, environments, files and answers look like that are none: a table, one line a kind.

Each case says what becomes of it. Whatever is secret in one of them is, or begins with, `SECRET`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: No message may hold it.
SECRET = "hUsh0hush1Hush2hush3hUsh4hush5Hush6hush7"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
ROLE = "arn:aws:iam::123456789012:role/reader"
#: In settings: the address of a service that answers what the path says, see `GARBAGE`.
SERVER = "{server}"
#: In settings and files: a folder, where the cases' files lie.
FOLDER = "{folder}"


@dataclass(frozen=True)
class Case:
    """A start of a run that fails: AWS's two files, others beside them, and the environment."""

    name: str
    kind: str = "credentials"
    environment: Mapping[str, str] = field(default_factory=dict)
    config: str | bytes = ""
    credentials: str | bytes = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    #: What the message must hold, too.
    said: str = ""


def profile(*lines: str, **sections: tuple[str, ...]) -> str:
    """AWS's file of configuration with a default profile, and other sections."""
    named = [f"[{name.replace('_', ' ')}]\n" + "\n".join(inner) for name, inner in sections.items()]
    return "\n".join(["[default]", *lines, *named, ""])


GIVEN: dict[str, Any] = {
    "Version": 1,
    "AccessKeyId": "AKIAEXAMPLE",
    "SecretAccessKey": SECRET,
    "SessionToken": SECRET * 3,
    "Expiration": "2099-01-01T00:00:00Z",
}
#: Text that is no answer of a provider's: printed by a process, or served by a container's agent or an instance.
GARBAGE: dict[str, str] = {
    "nothing": "",
    "a blank line": "\n",
    "a warning before it": "WARNING: the token ends soon\n" + json.dumps(GIVEN),
    "a line after it": json.dumps(GIVEN) + "\ndone",
    "half of it": json.dumps(GIVEN)[:90],
    "two of them": json.dumps(GIVEN) * 2,
    "a page": "<html><body>Sign in</body></html>",
    "a word": "ok",
    "a text": '"ok"',
    "a number": "7",
    "null": "null",
    "true": "true",
    "a list": "[]",
    "a list with it": json.dumps([GIVEN]),
    "deep lists": "[" * 3_000,
    "an empty object": "{}",
    "half a surrogate pair": '{"Version": 1, "AccessKeyId": "\\ud800", "SecretAccessKey": "x"}',
    "no key": json.dumps({**GIVEN, "AccessKeyId": None}),
    "an empty key": json.dumps({**GIVEN, "AccessKeyId": ""}),
    "a number as key": json.dumps({**GIVEN, "AccessKeyId": 7}),
    "a list as key": json.dumps({**GIVEN, "AccessKeyId": ["AKIA"]}),
    "a key with a line break": json.dumps({**GIVEN, "AccessKeyId": "AKIA\n"}),
    "a key that is not ASCII": json.dumps({**GIVEN, "AccessKeyId": "AKIÄ"}),
    "no secret": json.dumps({name: value for name, value in GIVEN.items() if name != "SecretAccessKey"}),
    "a null secret": json.dumps({**GIVEN, "SecretAccessKey": None}),
    "a number as secret": json.dumps({**GIVEN, "SecretAccessKey": 7}),
    "an object as secret": json.dumps({**GIVEN, "SecretAccessKey": {"is": SECRET}}),
    "a secret with a line break": json.dumps({**GIVEN, "SecretAccessKey": SECRET + "\n"}),
    "a token with a line break": json.dumps({**GIVEN, "SessionToken": SECRET + "\r\n", "Token": SECRET + "\r\n"}),
    "a number as token": json.dumps({**GIVEN, "SessionToken": 7, "Token": 7}),
    "an end without a zone": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "2099-01-01T00:00:00"}),
    "an end that is a date": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "2099-01-01"}),
    "an end that is no time": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "soon"}),
    "an end in words": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "in an hour"}),
    "an end as a number": json.dumps({**GIVEN, "Token": SECRET, "Expiration": 4_070_908_800}),
    "an end as a list": json.dumps({**GIVEN, "Token": SECRET, "Expiration": []}),
    "an end that is past": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "2020-01-01T00:00:00Z"}),
    "an end in the year 10000": json.dumps({**GIVEN, "Token": SECRET, "Expiration": "10000-01-01T00:00:00Z"}),
    "an error": json.dumps({"code": "AuthorizationFailed", "message": "\x1b[2Jnot\nallowed"}),
}
_NO_JSON = "credential_process of the profile 'default': it prints no JSON"
_NO_OBJECT = "credential_process of the profile 'default': it prints JSON that is no object"
_NO_VERSION = "credential_process of the profile 'default': it prints no Version, or another than the number 1"
_NO_END = "credential_process of the profile 'default': its Expiration is no time with a zone"
_NO_KEY = "mend credential_process of the profile 'default'"
#: What is said of a program that prints some of them.
_TOLD_OF_PROCESSES = {
    **dict.fromkeys(("nothing", "a blank line", "a warning before it", "a line after it", "half of it"), _NO_JSON),
    **dict.fromkeys(("two of them", "a page", "a word", "deep lists"), _NO_JSON),
    **dict.fromkeys(("a text", "a number", "null", "true", "a list", "a list with it"), _NO_OBJECT),
    **dict.fromkeys(("an empty object", "an error", "no version", "version 2", "version as text"), _NO_VERSION),
    "a secret as version": _NO_VERSION,
    **dict.fromkeys(("an end without a zone", "an end that is a date", "an end that is no time"), _NO_END),
    **dict.fromkeys(("an end in words", "an end as a number", "an end as a list"), _NO_END),
    "an end in the year 10000": _NO_END,
    "an end that is past": "credential_process of the profile 'default': the keys that it gives have expired already",
    "no access key": "credential_process of the profile 'default': it prints no AccessKeyId",
    "no secret": "credential_process of the profile 'default': it prints no SecretAccessKey",
    **dict.fromkeys(("half a surrogate pair", "no key", "an empty key", "a number as key", "a list as key"), _NO_KEY),
    **dict.fromkeys(
        ("a key with a line break", "a key that is not ASCII", "a null secret", "a number as secret"), _NO_KEY
    ),
    **dict.fromkeys(("an object as secret", "a secret with a line break", "a token with a line break"), _NO_KEY),
    "a number as token": _NO_KEY,
}
_ONLY_OF_PROCESSES = {
    "no access key": json.dumps({name: value for name, value in GIVEN.items() if name != "AccessKeyId"}),
    "a secret as version": json.dumps({**GIVEN, "Version": SECRET}),
    "no version": json.dumps({name: value for name, value in GIVEN.items() if name != "Version"}),
    "version 2": json.dumps({**GIVEN, "Version": 2}),
    "version as text": json.dumps({**GIVEN, "Version": "1"}),
}


def processes() -> Iterator[Case]:
    """Programs that a profile asks for keys."""
    for name, text in {**GARBAGE, **_ONLY_OF_PROCESSES}.items():
        command = f"credential_process = cat {FOLDER}/printed"
        said = _TOLD_OF_PROCESSES.get(name, "")
        yield Case(f"a process prints {name}", config=profile(command), files={"printed": text}, said=said)
    for name, text, fault in [
        ("no JSON", "ok", "it prints no JSON"),
        ("no zone", GARBAGE["an end without a zone"], "its Expiration is no time"),
    ]:
        command, printed = f"credential_process = cat {FOLDER}/printed", {"printed": text}
        yield Case(
            f"a process of a named profile prints {name}",
            environment={"AWS_PROFILE": "by night"},
            config=profile(**{"profile_'by night'": (command,)}),
            files=printed,
            said=f"credential_process of the profile 'by night': {fault}",
        )
        yield Case(
            f"a process of a role's source prints {name}",
            config=profile(f"role_arn = {ROLE}", "source_profile = base", profile_base=(command,)),
            files=printed,
            said=f"credential_process of the profile 'base': {fault}",
        )
    for name, command, said in [
        ("that is not there", "/no/such/program", "/no/such/program"),
        ("that is a folder", FOLDER, "Permission denied"),
        ("that is no program", f"{FOLDER}/printed", "Permission denied"),
        ("with half a quotation", "cat 'x", "quotation"),
        ("that ends with an error", f"{sys.executable} -S -I -c 'raise SystemExit(\"over, token={SECRET}\")'", "over"),
        ("that is killed", "sh -c 'kill -9 $$'", "it fails, without a word"),
        ("that prints no UTF-8", f"cat {FOLDER}/bytes", "is not UTF-8"),
        ("that complains in no UTF-8", f"sh -c 'cat {FOLDER}/bytes >&2; exit 1'", ""),
    ]:
        files: dict[str, str | bytes] = {"printed": "", "bytes": b"\xff\xfe{}"}
        yield Case(f"a process {name}", config=profile(f"credential_process = {command}"), files=files, said=said)


def environments() -> Iterator[Case]:
    """Keys in the environment."""
    for name, key, secret in [
        ("a key with a line break", "AKIA\n", SECRET),
        ("a key with a return", "AKIA\r", SECRET),
        ("a key with a space before it", " AKIA", SECRET),
        ("a key in quotes of another country", "“AKIA”", SECRET),
        ("a key with a tab", "AK\tIA", SECRET),
        ("a key with an escape", "AKIA\x1b[2J", SECRET),
        ("a secret with a line break", "AKIA", SECRET + "\n"),
        ("a secret with a space", "AKIA", SECRET + " x"),
        ("a secret that is not ASCII", "AKIA", SECRET + "ß"),
    ]:
        yield Case(name, environment={"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}, said="mend AWS_")
    yield Case("no secret", environment={"AWS_ACCESS_KEY_ID": "AKIA"}, said="AWS_SECRET_ACCESS_KEY")
    yield Case("a secret alone", environment={"AWS_SECRET_ACCESS_KEY": SECRET}, said="no AWS credentials were found")
    token = {**KEYS, "AWS_SESSION_TOKEN": SECRET + "\n"}
    yield Case("a token with a line break", environment=token, said="mend AWS_SESSION_TOKEN")
    yield Case("nothing at all", said="set AWS_PROFILE")
    yield Case("a profile that is not there", environment={"AWS_PROFILE": "night"}, said="night")
    yield Case("a profile with a hostile name", environment={"AWS_PROFILE": "a\nb\x1b[2J"})
    yield Case("an end without a zone", environment={**KEYS, "AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00"})
    yield Case("an end that is past", environment={**KEYS, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"})
    yield Case("an end that is no time", environment={**KEYS, "AWS_CREDENTIAL_EXPIRATION": "soon"}, said="soon")


def files() -> Iterator[Case]:
    """AWS's two files."""
    texts: dict[str, str | bytes] = {
        "no sections": "region = us-east-1\n",
        "a sentence": "hello\n",
        "half a section": "[default\nregion = us-east-1\n",
        "a section twice": "[default]\n[default]\n",
        "a key twice": "[default]\nregion = a\nregion = b\n",
        "bytes": bytes(range(128, 256)),
        "UTF-16": "[default]\nregion = us-east-1\n".encode("utf-16"),
        "JSON": '{"default": {"region": "us-east-1"}}',
        "YAML": "default:\n  region: us-east-1\n",
        "a nested part that is none": "[default]\ns3 =\n  hello\n",
        "a continued line first": "  region = us-east-1\n[default]\n",
        "a secret where a section is": f"{SECRET}\n[default]\n",
    }
    for name, text in texts.items():
        yield Case(f"the configuration is {name}", config=text, said="{folder}/config")
        if name != "a nested part that is none":
            yield Case(f"the credentials' file is {name}", credentials=text, said="{folder}/credentials")
    texts = {
        "no secret": profile("aws_access_key_id = AKIA"),
        "empty keys": profile("aws_access_key_id =", "aws_secret_access_key ="),
        "a key of two lines": profile("aws_access_key_id = AKIA", "  MORE", f"aws_secret_access_key = {SECRET}"),
        "a key with a space": profile("aws_access_key_id = AK IA", f"aws_secret_access_key = {SECRET}"),
        "a secret with a remark": profile("aws_access_key_id = AKIA", f"aws_secret_access_key = {SECRET} ; mine"),
        "a token that is not ASCII": profile(
            "aws_access_key_id = AKIA", f"aws_secret_access_key = {SECRET}", "aws_session_token = “x”"
        ),
    }
    for name, text in texts.items():
        yield Case(f"{name} in the credentials' file", credentials=text)
        yield Case(f"{name} in the configuration", config=text)


def roles() -> Iterator[Case]:
    """Profiles with a role, web identity, and IAM Identity Center."""
    base = {"profile_base": ("aws_access_key_id = AKIA", f"aws_secret_access_key = {SECRET}")}
    own = f"role_arn = {ROLE}"
    for name, text, said in [
        ("without a source", profile(own), "source_profile"),
        ("with two sources", profile(own, "source_profile = base", "credential_source = Environment", **base), "both"),
        ("with a source that is not there", profile(own, "source_profile = gone"), "gone"),
        ("with a source that is none", profile(own, "credential_source = Moon"), "Moon"),
        ("with a source without keys", profile(own, "source_profile = base", profile_base=("x = y",)), ""),
        ("that is its own source", profile(own, "source_profile = default"), ""),
        (
            "that goes in a circle",
            profile(own, "source_profile = b", profile_b=(own, "source_profile = default")),
            "loop",
        ),
        ("with a source's missing variable", profile(own, "credential_source = Environment"), "Environment"),
        ("that is no ARN", profile("role_arn = x", "source_profile = base", **base), "RoleArn"),
        ("that lives for no number", profile(own, "source_profile = base", "duration_seconds = x", **base), ""),
        (
            "that is refused",
            profile(own, "source_profile = base", "external_id = aa", "role_session_name = aa", **base),
            "AccessDenied",
        ),
    ]:
        sts = {
            "AWS_ENDPOINT_URL_STS": f"{SERVER}/sts-denied",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield Case(f"a role {name}", config=text, environment=sts, said=said)
    identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": f"{FOLDER}/token", "AWS_ROLE_ARN": ROLE, "AWS_MAX_ATTEMPTS": "1"}
    token: dict[str, str | bytes] = {"token": SECRET}
    cases: list[tuple[str, dict[str, str], dict[str, str | bytes], str]] = [
        ("whose token is not there", {}, {}, "AWS_WEB_IDENTITY_TOKEN_FILE: {folder}/token: No such file"),
        ("whose token is a folder", {"AWS_WEB_IDENTITY_TOKEN_FILE": FOLDER}, {}, "Is a directory"),
        ("whose token is bytes", {}, {"token": b"\xff\xfe\x00"}, ""),
        ("whose token is empty", {}, {"token": ""}, ""),
        ("without a role", {"AWS_ROLE_ARN": ""}, token, ""),
        ("with a role that is no ARN", {"AWS_ROLE_ARN": "x"}, token, "RoleArn"),
        ("with an empty session name", {"AWS_ROLE_SESSION_NAME": "x"}, token, "RoleSessionName"),
        ("that is refused", {"AWS_ENDPOINT_URL_STS": f"{SERVER}/sts-denied"}, token, "AccessDenied"),
        ("that is answered by a page", {"AWS_ENDPOINT_URL_STS": f"{SERVER}/page"}, token, ""),
        ("that is answered by nothing", {"AWS_ENDPOINT_URL_STS": f"{SERVER}/nothing"}, token, ""),
        ("that is answered by half", {"AWS_ENDPOINT_URL_STS": f"{SERVER}/sts-half"}, token, ""),
        ("that is answered by keys without an end", {"AWS_ENDPOINT_URL_STS": f"{SERVER}/sts-endless"}, token, ""),
    ]
    for name, change, inside, said in cases:
        yield Case(f"a web identity {name}", environment={**identity, **change}, files=inside, said=said)
    wrong = {**identity, "AWS_ENDPOINT_URL_STS": f"user:{SECRET}@host"}
    yield Case("a web identity at an endpoint that is none", "usage", wrong, files=token, said="AWS_ENDPOINT_URL_STS")


_START = "https://example.awsapps.com/start"
_SSO = (f"sso_start_url = {_START}", "sso_region = us-east-1", "sso_account_id = 123456789012", "sso_role_name = x")


def identity_center() -> Iterator[Case]:
    """IAM Identity Center, its cache of tokens, and the portal that gives keys for one."""

    def cached(name: str) -> str:
        return f".aws/sso/cache/{sha1(name.encode(), usedforsecurity=False).hexdigest()}.json"

    session = (*_SSO[2:], "sso_session = corp")
    corp = {"sso-session_corp": (f"sso_start_url = {_START}", "sso_region = us-east-1")}
    good = {"startUrl": _START, "region": "us-east-1", "accessToken": SECRET, "expiresAt": "2099-01-01T00:00:00Z"}
    texts: dict[str, str | bytes] = {
        "nothing": "",
        "half": json.dumps(good)[:60],
        "a list": "[]",
        "null": "null",
        "an empty object": "{}",
        "no token": json.dumps({**good, "accessToken": None}),
        "no end": json.dumps({name: value for name, value in good.items() if name != "expiresAt"}),
        "an end that is no time": json.dumps({**good, "expiresAt": "soon"}),
        "an end without a zone": json.dumps({**good, "expiresAt": "2020-01-01T00:00:00"}),
        "a number as end": json.dumps({**good, "expiresAt": 7}),
        "a token that has expired": json.dumps({**good, "expiresAt": "2020-01-01T00:00:00Z"}),
        "bytes": b"\xff\xfe",
    }
    for name, text in texts.items():
        yield Case(f"the cache has {name}", config=profile(*_SSO), files={cached(_START): text})
        yield Case(f"the session's cache has {name}", config=profile(*session, **corp), files={cached("corp"): text})
    yield Case("nobody has logged in", config=profile(*_SSO), said="SSO")
    yield Case("nobody has logged in to the session", config=profile(*session, **corp), said="corp")
    yield Case("a session that is not there", config=profile(*session), said="corp")
    yield Case("half of its settings", config=profile(*_SSO[:2]))
    for name in ("page", "nothing", "a list", "an empty object", "denied"):
        portal = {"AWS_ENDPOINT_URL_SSO": f"{SERVER}/{quote(name)}", "AWS_MAX_ATTEMPTS": "1"}
        answered = {cached(_START): json.dumps(good)}
        yield Case(f"the portal answers with {name}", environment=portal, config=profile(*_SSO), files=answered)


def agents() -> Iterator[Case]:
    """What gives keys to a container, or to an instance."""
    for name in GARBAGE:
        uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{SERVER}/{name}"}
        yield Case(f"a container's agent gives {name}", environment=uri)
    for name, change, said in [
        ("at a foreign host", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}, "example.com"),
        ("at no address", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "::"}, ""),
        ("whose token is not there", {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/such"}, "/no/such"),
        ("whose token has lines", {"AWS_CONTAINER_AUTHORIZATION_TOKEN": f"{SECRET}\nx"}, ""),
        ("that denies", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{SERVER}/denied"}, ""),
    ]:
        uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{SERVER}/x", **change}
        yield Case(f"a container's agent {name}", environment=uri, said=said)
    instance = {"AWS_EC2_METADATA_DISABLED": "false"}
    yield Case(
        "an instance's mode that is none", environment={**instance, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "x"}
    )
    for name in ("nothing", "a page", "a list", "an error", "half of it", "an empty object", "an end that is no time"):
        endpoint = {**instance, "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{SERVER}/imds/{name}/"}
        yield Case(f"an instance gives {name}", environment=endpoint)
    garbage = {**instance, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "garbage"}
    yield Case("an instance at no address", environment=garbage, said="AWS_EC2_METADATA_SERVICE_ENDPOINT")
    for variable in ("AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"):
        yield Case(f"{variable} is no number", environment={variable: "soon"}, said=variable)


def settings() -> Iterator[Case]:
    """AWS's own settings beside credentials: what is wrong in one is wrong usage, and is named."""
    for name, url in {
        "FTP": "ftp://host",
        "no scheme": "host:8080",
        "a bare host": "host",
        "no host": "http://",
        "a password": f"http://user:{SECRET}@host",
        "a password and no scheme": f"user:{SECRET}@host",
        "a password and no port": f"http://user:{SECRET}@host:xx",
        "a port that is none": "http://host:xx",
        "a port that is too large": "http://host:70000",
        "port 0": "http://host:0",
        "half an address": "http://[::1",
        "a space": "http://ho st",
        "a space before it": " http://host",
        "a query": "http://host/?x=1",
        "a file": "file:///etc/hosts",
        "letters of another country": "http://höst",
        "a line break": "http://host\n",
    }.items():
        for variable in ("AWS_ENDPOINT_URL_IVS_REALTIME", "AWS_ENDPOINT_URL"):
            yield Case(f"{variable} is {name}", "usage", {**KEYS, variable: url}, said=variable)
    config = profile(f"endpoint_url = ftp://user:{SECRET}@host")
    yield Case("the profile's endpoint is FTP", "usage", KEYS, config, said="profile")
    for variable, value in {
        "AWS_MAX_ATTEMPTS": "abc",
        "AWS_RETRY_MODE": "often",
        "AWS_DEFAULTS_MODE": "x",
        "AWS_STS_REGIONAL_ENDPOINTS": "x",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "x",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "x",
        "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "x",
    }.items():
        yield Case(f"{variable} is {value}", "usage", {**KEYS, variable: value}, said=variable)
    yield Case("the profile's attempts are no number", "usage", KEYS, profile("max_attempts = abc"), said="abc")
    yield Case("the profile's services are not there", "usage", KEYS, profile("services = x"), said="services")
    for name, proxy in {
        "SOCKS": f"socks5h://user:{SECRET}@host:1080",
        "SOCKS 4": "socks4://host:1080",
        "FTP": "ftp://host",
        "a port that is none": f"http://user:{SECRET}@host:xx",
        "no host": "http://",
        "half an address": "http://[::1",
    }.items():
        yield Case(f"the proxy is {name}", "usage", {**KEYS, "HTTPS_PROXY": proxy}, said="HTTPS_PROXY")
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        for name, path in {"is not there": "/no/such", "is no certificate": f"{FOLDER}/text"}.items():
            bundle = {**KEYS, variable: path}
            yield Case(f"{variable} {name}", "usage", bundle, files={"text": "x"}, said=variable)


#: Starts of a run that fail before IVS is asked.
STARTS = [*processes(), *environments(), *files(), *roles(), *identity_center(), *agents(), *settings()]


@dataclass(frozen=True)
class Answered:
    """An answer of IVS that is no page, as it stands on the wire, and the kinds of error that it may be."""

    name: str
    kinds: tuple[str, ...]
    raw: bytes
    said: str = ""


def _http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(head).encode() + body


def _denied(code: str) -> str:
    return f"x-amzn-ErrorType: {code}:http://internal.amazon.com/coral/"


def _pages() -> Iterator[Answered]:
    for name, body in {
        "nothing": b"",
        "a page": b"<html><head><title>Sign in</title></head></html>",
        "an empty object": b"{}",
        "a list": b"[]",
        "null": b"null",
        "a text": b'"stages"',
        "half of it": b'{"stages": [{"arn": "arn:aws:iv',
        "a null list": b'{"stages": null}',
        "an object for a list": b'{"stages": {}}',
        "a number as token": b'{"stages": [], "nextToken": 7}',
        "an object as token": b'{"stages": [], "nextToken": {}}',
        "another list": b'{"events": []}',
        "its list twice": b'{"stages": [1], "stages": []}',
        "its list twice, with spaces": b'{ "stages" : [ ] , "stages" : [ ] }',
        "its list twice, once escaped": b'{"stages": [], "st\\u0061ges": []}',
        "its token twice": b'{"stages": [], "nextToken": "a", "nextToken": "b"}',
        "a byte order mark": b'\xef\xbb\xbf{"stages": []}',
        "UTF-16": '{"stages": []}'.encode("utf-16"),
        "bytes": b"\xff\xfe\x00",
        "deep lists": b'{"stages": ' + b"[" * 4_000,
        "a remark": b'{"stages": []} // all',
        "a comma too many": b'{"stages": [],}',
        "single quotes": b"{'stages': []}",
        "NaN": b'{"stages": NaN}',
        "a secret": b'{"message": "token=' + SECRET.encode() + b'"}',
    }.items():
        yield Answered(f"200 with {name}", ("malformed",), _http("200 OK", body))
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x\x80"):
        body = _http("200 OK", b'{"stages": []}', f"Content-Encoding: {encoding}")
        yield Answered(f"200 labelled {encoding!r}", ("malformed",), body, said="Content-Encoding")


def _strangers() -> Iterator[Answered]:
    for status in (201, 202, 204, 206, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 413, 418, 451):
        page = _http(f"{status} X", b"" if status == 204 else b"<html>no</html>", "Server: squid/5.7")
        yield Answered(f"{status} of a proxy", ("refused",), page, said="something between here and AWS")
    for status in (408, 500, 501, 502, 503, 504, 511, 599):
        yield Answered(f"{status} of a gateway", ("transient",), _http(f"{status} X", b"<html>no</html>"))
    yield Answered("a proxy that asks for a password", ("unreachable",), _http("407 X"), said="HTTPS_PROXY")
    moved = f"Location: https://user:{SECRET}@portal.example/login?token={SECRET}"
    yield Answered("a portal", ("refused",), _http("302 Found", b"", moved), said="portal.example")


def _refusals() -> Iterator[Answered]:
    for status in ("400", "403", "429", "503"):
        for code in ("ThrottlingException", "TooManyRequestsException"):
            yield Answered(f"{status} {code}", ("throttled",), _http(f"{status} X", b"{}", _denied(code)))
        xml = b"<?xml version='1.0'?>\n<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
        yield Answered(f"{status} with an XML throttle", ("throttled",), _http(f"{status} X", xml))
    yield Answered("a bare 429", ("throttled",), _http("429 X"))
    for code in ("AccessDeniedException", "ValidationException", "ResourceNotFoundException", "PendingVerification"):
        said = b'{"exceptionMessage": "\\u001b[2Jno\\nway, token=' + SECRET.encode() + b'"}'
        yield Answered(code, ("refused",), _http("403 X", said, _denied(code)), said=code)
        yield Answered(f"{code} by __type", ("refused",), _http("400 X", b'{"__type": "x#%s"}' % code.encode()))
    for code in (
        *("ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId"),
        *("IncompleteSignatureException", "IncompleteSignature", "MissingAuthenticationTokenException", "AuthFailure"),
    ):
        yield Answered(code, ("credentials",), _http("403 X", b"{}", _denied(code)), said=code)
    for code in ("RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"):
        said = b'{"message": "Signature expired: 20200101T000000Z is now earlier than 20200101T001000Z'
        said += b' (20200101T001500Z - 5 min.)"}'
        yield Answered(
            f"{code} of a clock", ("clock",), _http("403 X", said, _denied(code)), said="2020-01-01T00:15:00Z"
        )
        dated = _http(
            "403 X", b'{"message": "Signature expired"}', _denied(code), "Date: Wed, 01 Jan 2020 00:00:00 GMT"
        )
        yield Answered(f"{code} by its date", ("clock",), dated, said="set the clock")


def _streams() -> Iterator[Answered]:
    for name, raw in {
        "no answer": b"",
        "a line": b"hello\r\n",
        "bytes": bytes(range(256)),
        "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
        "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "less than announced": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"stages": []}',
        "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "a chunk too short": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",
        "a header without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
        "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    }.items():
        yield Answered(f"on the wire: {name}", ("transient", "malformed"), raw)
    yield Answered("on the wire: TLS", ("unreachable",), b"\x15\x03\x03\x00\x02\x02\x28", said="use https://")
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    yield Answered("a length beyond all bounds", ("endless",), long, said="64 MiB")


#: Answers of IVS that are no page.
ANSWERS = [*_pages(), *_strangers(), *_refusals(), *_streams()]
