"""Every row of the page on errors is a message that the command prints: each is made here, by what causes it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import re
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from exporter.cli.app import main
from exporter.commit_log.lease import Holder, Lease
from exporter.commit_log.process import is_gone, this_process
from exporter.emulator import RoleOptions, Size
from exporter.lake.stores.directory import DirectoryStore
from exporter.machine import open_files
from exporter.machine.clock import system_clock
from tests.support.environment import NO_CREDENTIALS, is_users
from tests.support.exports import options_of
from tests.support.own_process import left_as_it_was
from tests.support.servers.answering import Answering
from tests.support.service import SCOPE
from tests.support.threaded import ThreadedEmulator
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyiceberg.table import Table as IcebergTable

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
ROLE = "arn:aws:iam::444455556666:role/ivs-export"
FAST = ("--calls-per-second", "5000", "--retry-attempts", "1")
RUN = ("run", "--region", "us-east-1", "--lake", "{lake}", "--json", *FAST)
STAGE = "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEf123456"
_BEFORE = re.compile(r"every scope failed; [^:]*: |gave up after [^:]*: ")
#: Lines of the log that say what is wrong, and whose run ends well all the same.
WARNINGS = frozenset({"a notice was not sent", "the metrics' file can't be written", "OpenTelemetry is not used"})
#: No system gives this port to a server that asks for any, as another test's does.
NO_LISTENER = "127.0.0.1:1"
SECRET = "hUsh0hush1Hush2hush3hUsh4hush5Hush6hush7"


def rows_of(heading: str) -> list[tuple[str, str, str]]:
    """The rows below a heading of the page: message, cause and remedy."""
    section = PAGE[PAGE.index(f"\n## {heading}\n") :].split("\n## ", 2)[1]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(cell[0].strip().strip("`"), cell[1].strip(), cell[2].strip()) for cell in cells]


def pattern_of(message: str) -> re.Pattern[str]:
    """What a message of the page stands for: `…` is any text; backticks in it are left out, for it stands in some."""
    return re.compile(".*?".join(map(re.escape, message.split("…"))))


class Bench:
    """The command in this process, amid what a case has set: variables, faults of an emulator, answers of a server."""

    def __init__(
        self,
        emulated: ThreadedEmulator,
        server: Answering,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.emulated = emulated
        self.server = server
        self.folder = folder
        self.lake = folder / "lake"
        self.patch = monkeypatch
        self._capsys = capsys

    def says(self, *typed: str, faults: tuple[str, ...] = (), **variables: str) -> list[str]:
        """What the command says is wrong: of the whole, and of each cause. No secret is in it."""
        self.emulated.plan(*faults)
        for name, value in variables.items():
            self.patch.setenv(name, value)
        arguments = [text.format(lake=self.lake, folder=self.folder) for text in typed]
        main(arguments)
        printed, logged = self._capsys.readouterr()
        assert SECRET not in printed + logged
        said = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
        found = [line["message"] for line in said if line["event"] in {"failed", "failure"}]
        found += [f"{line['event']}: {line['problem']}" for line in said if "problem" in line]
        found += [f"{line['event']}: {line['reason']}" for line in said if line["event"] in WARNINGS]
        if "--json" in typed and printed:
            found += [failure["message"] for failure in json.loads(printed.splitlines()[-1])["failures"]]
        return [_BEFORE.sub("", text.replace("`", "")) for text in found]

    def run(self, *typed: str, faults: tuple[str, ...] = (), **variables: str) -> list[str]:
        """The same of a run into the lake, of the emulator's only region."""
        return self.says(*RUN, *typed, faults=faults, **variables)

    def lists(self, text: str, *typed: str) -> list[str]:
        """The same of a run with this list of targets."""
        (self.folder / "list.csv").write_text(text)
        return self.run("--targets", "{folder}/list.csv", *typed)

    def file(self, text: str, **variables: str) -> list[str]:
        """The same of a run with this settings' file."""
        (self.folder / "my.toml").write_text(text)
        return self.run("--config", "{folder}/my.toml", faults=(), **variables)

    def s3(self, status: int, code: str, more: str = "", **headers: str) -> list[str]:
        """The same of ``status``, before a bucket that refuses everything so."""
        self.server.set_s3(status, code, more, **headers)
        return self.status()

    def s3_page(self, status: int, body: bytes) -> list[str]:
        """The same before something that is no S3."""
        self.server.set(status, body, Content_Type="text/html")
        return self.status()

    def status(self, url: str = "") -> list[str]:
        return self.says(
            "status", "--lake", "s3://my-lake/ivs", AWS_ENDPOINT_URL_S3=url or f"http://{self.server.host}"
        )

    def publish(self, kind: str, uri: str = "", *typed: str, **properties: str) -> list[str]:
        """The same of a publication of the lake, which a run has made, into a catalog of this kind."""
        own = {"uri": uri.format(folder=self.folder), "token": SECRET} if uri else {}
        self.patch.setattr("exporter.catalog.open._WAIT_S", 0.0)
        if not (self.lake / "_log").exists():
            self.made()
        return self.says(
            *("publish", "--lake", "{lake}", "--json", "--catalog", kind, *typed),
            IVS_EXPORT_CATALOG__PROPERTIES=json.dumps(own | properties),
        )

    def in_sqlite(self, *typed: str) -> list[str]:
        """The same in a catalog that is well."""
        return self.publish("sql", "sqlite:///{folder}/catalog.db", *typed)

    def glue(self, code: str) -> list[str]:
        """The same in a Glue that refuses everything so."""
        body = json.dumps({"__type": code, "Message": "as it is said"}).encode()
        self.server.set(400, body, Content_Type="application/x-amz-json-1.1")
        url = f"http://{self.server.host}"
        return self.publish("glue", **{"glue.endpoint": url, "glue.region": "us-east-1"})

    def rest(self, status: int, kind: str = "") -> list[str]:
        """The same in an Iceberg REST catalog that answers so, or with a page where ``kind`` is empty."""
        error = {"error": {"message": "as it is said", "type": kind, "code": status}}
        self.server.set(status, json.dumps(error).encode() if kind else b"<html/>")
        return self.publish("rest", f"http://{self.server.host}")

    def asks(self, sql: str) -> list[str]:
        """The same of a question to the lake, which a run has made."""
        if not (self.lake / "_log").exists():
            self.made()
        return self.says("query", "--lake", "{lake}", sql)

    def notifies(self, url: str) -> list[str]:
        """The same of a run that tells a webhook of its end."""
        return self.run(IVS_EXPORT_NOTIFY__WEBHOOK=url, IVS_EXPORT_NOTIFY__ON="always")

    def disk(self, code: int) -> list[str]:
        """The same of a run into a folder whose system refuses a hard link with this error."""

        def refuse(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        self.patch.setattr(os, "link", refuse)
        return self.run()

    def answered(self, status: int, body: bytes = b"", **headers: str) -> list[str]:
        """The same of a run whose calls of IVS are all answered so."""
        self.server.set(status, body, **headers)
        return self.run(AWS_ENDPOINT_URL_IVS_REALTIME=f"http://{self.server.host}")

    def answered_by_proxy(self, status: int) -> list[str]:
        """The same of a run behind a proxy that answers so in its own name."""
        self.server.set(status, b"")
        return self.run(
            AWS_ENDPOINT_URL_IVS_REALTIME="https://ivs.invalid",
            HTTPS_PROXY=f"http://user:{SECRET}@{self.server.host}",
        )

    def made(self) -> Path:
        """The lake's log, once a run has filled it."""
        assert self.run("--retry-attempts", "4") == []  # a busy machine may lose a connection
        [log] = self.lake.glob("_log/*-*")
        return log


@dataclass(frozen=True)
class Here:
    """What stays the same from case to case."""

    emulated: ThreadedEmulator
    server: Answering


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """An emulator of a few units, with a role that is refused, and a server for the rest."""
    world = small_world(3, stages=1, sessions=Size.fixed(1), participants=Size.fixed(2), events=Size.fixed(2))
    options = options_of(world, start_us=int(time.time() * 1e6), roles=RoleOptions(name="none"))
    server = Answering(tmp_path_factory.mktemp("certificate"))
    with ThreadedEmulator(options) as emulated:
        yield Here(emulated, server)
    server.close()


@pytest.fixture
def make_bench(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], Bench]]:
    """Makes a bench for each case: a folder of its own, the emulator's keys, and nothing of the case before."""
    numbers = count()

    def make() -> Bench:
        monkeypatch.undo()
        monkeypatch.setattr(random, "uniform", lambda *_: 0.0)
        monkeypatch.setattr(random, "random", lambda: 0.0)
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        for name in list(os.environ):
            if is_users(name) or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
                monkeypatch.delenv(name)
        for name, value in {
            **NO_CREDENTIALS,
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_ENDPOINT_URL_IVS_REALTIME": here.emulated.url,
            "AWS_ENDPOINT_URL_STS": here.emulated.url,
        }.items():
            monkeypatch.setenv(name, value)
        return Bench(here.emulated, here.server, folder, monkeypatch, capsys)

    with left_as_it_was():
        yield make


def with_profile(bench: Bench, text: str) -> list[str]:
    """A run whose credentials are a profile's."""
    (bench.folder / "config").write_text(text)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        bench.patch.delenv(name)
    return bench.run()


def with_clock_off(bench: Bench) -> list[str]:
    said = "Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z (20260101T010000Z - 5 min.)"
    body = json.dumps({"message": said}).encode()
    return bench.answered(403, body, x_amzn_ErrorType="InvalidSignatureException")


def with_altered_log(bench: Bench) -> list[str]:
    record = sorted(bench.made().glob("records/*.json"))[1]
    record.write_bytes(record.read_bytes()[:-2])
    return bench.run()


def with_newer_lake(bench: Bench) -> list[str]:
    bench.made()
    path = bench.lake / "_log" / "lake.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"major": 99}))
    return bench.run()


def without_the_lakes_file(bench: Bench) -> list[str]:
    bench.made()
    (bench.lake / "_log" / "lake.json").unlink()
    return bench.run()


def without_log(bench: Bench) -> list[str]:
    log = bench.made()
    log.rename(bench.folder / "away")
    return bench.run()


def beside_another_run(bench: Bench) -> list[str]:
    """The scope is held by a process that lives: the tests' own."""
    bench.made()
    store = DirectoryStore(bench.lake)

    async def hold() -> None:
        other = Lease(store, SCOPE, Holder(this_process(), "other", "now"), system_clock(), is_gone)
        await other.acquire(wait=False)

    asyncio.run(hold())
    return bench.run()


def in_a_containers_layer(bench: Bench) -> list[str]:
    bench.patch.setattr("exporter.pipeline.run.is_in_own_layer", lambda _: True)
    return bench.run()


def below_a_file(bench: Bench) -> list[str]:
    (bench.folder / "config").write_text("")
    return bench.run("--lake", "{folder}/config/lake")


def in_a_demos_lake(bench: Bench) -> list[str]:
    bench.lake.mkdir()
    (bench.lake / "_made_by_ivs-export_demo").write_text("")
    return bench.run()


def with_another_privacy(bench: Bench) -> list[str]:
    bench.made()
    return bench.run("--privacy-user-id", "drop")


def with_another_key(bench: Bench) -> list[str]:
    bench.run("--privacy-user-id", "hash", IVS_EXPORT_PRIVACY__KEY="the first key")
    return bench.run("--privacy-user-id", "hash", IVS_EXPORT_PRIVACY__KEY="another key")


def without_temporary_folder(bench: Bench) -> list[str]:
    bench.patch.setattr(tempfile, "tempdir", "/nowhere")
    return bench.run()


def with_few_open_files(bench: Bench) -> list[str]:
    bench.patch.setattr(open_files, "limit", lambda: 64)
    return bench.run()


def without_dask(bench: Bench) -> list[str]:
    bench.patch.setitem(sys.modules, "distributed", None)
    return bench.run("--dask", "local:2")


def without(module: str, *typed: str, **variables: str) -> Callable[[Bench], list[str]]:
    """A command without a package that it needs."""

    def says(bench: Bench) -> list[str]:
        bench.patch.setitem(sys.modules, module, None)
        for name, value in variables.items():
            bench.patch.setenv(name, value)
        return bench.says(*typed)

    return says


def with_refusing_webhook(bench: Bench) -> list[str]:
    bench.server.set(404)
    return bench.notifies(f"http://{bench.server.host}/{SECRET}")


def with_locked_catalog(bench: Bench) -> list[str]:
    bench.in_sqlite()
    with closing(sqlite3.connect(bench.folder / "catalog.db", isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        return bench.publish("sql", "sqlite:///{folder}/catalog.db?timeout=0")


def with_others_table(bench: Bench) -> list[str]:
    columns = Schema(NestedField(1, "x", LongType()))
    with closing(catalog_of(bench)) as catalog:
        catalog.create_namespace("ivs")
        catalog.create_table(("ivs", "events"), columns, location=f"file://{bench.folder}/others")
    return bench.in_sqlite()


def catalog_of(bench: Bench) -> SqlCatalog:
    """The catalog as another program opens it."""
    return SqlCatalog("ivs-export", uri=f"sqlite:///{bench.folder}/catalog.db")


@contextmanager
def table_of_events(bench: Bench) -> Iterator[IcebergTable]:
    """The table as another program has it, once a publication made it."""
    bench.in_sqlite()
    with closing(catalog_of(bench)) as catalog:
        yield catalog.load_table(("ivs", "events"))


def with_other_columns(bench: Bench) -> list[str]:
    with table_of_events(bench) as table, table.update_schema() as changing:
        changing.rename_column("event_name", "name_of_event")
    return bench.in_sqlite()


def with_moved_lake(bench: Bench) -> list[str]:
    bench.in_sqlite()
    bench.lake = bench.lake.rename(bench.folder / "moved")
    return bench.in_sqlite()


def without_description(bench: Bench) -> list[str]:
    bench.in_sqlite()
    (bench.lake / "_iceberg" / "events").rename(bench.folder / "away")
    return bench.in_sqlite()


def with_other_mark(bench: Bench) -> list[str]:
    with table_of_events(bench) as table:
        [name] = [name for name in table.properties if name.startswith("ivs-export.published.")]
        number, _, lake_id = table.properties[name].split()
        table.transaction().set_properties({name: f"{number} {'0' * 64} {lake_id}"}).commit_transaction()
    return bench.in_sqlite()


def with_unknown_session(bench: Bench) -> list[str]:
    """A report of a session that the lake does not have."""
    bench.made()
    return bench.says("report", "--lake", "{lake}", "--session", "st-none", "--out", "{folder}/x.html")


def with_damaged_file(bench: Bench) -> list[str]:
    bench.made()
    [*files] = bench.lake.glob("events/*/*.parquet")
    for file in files:
        file.write_bytes(b"PAR1 no more than that PAR1")
    return bench.asks("SELECT count(event_name) FROM events")


USAGE: dict[str, Callable[[Bench], list[str]]] = {
    "an option": lambda bench: bench.says("run", "--lakes", "x"),
    "a number": lambda bench: bench.run("--concurrency", "many"),
    "no region": lambda bench: bench.says("run", "--lake", "{lake}"),
    "a region": lambda bench: bench.says("run", "--region", "Europe"),
    "a stage": lambda bench: bench.run("--stage", "my-stage"),
    "a stage elsewhere": lambda bench: bench.run("--stage", STAGE.replace("us-east-1", "eu-west-1")),
    "a lake": lambda bench: bench.says("status", "--lake", "s3:/my-lake/ivs"),
    "no file": lambda bench: bench.run("--config", "{folder}/none.toml"),
    "a file": lambda bench: bench.file("lake = s3"),
    "a key": lambda bench: bench.file("laek = 's3://x'"),
    "a variable": lambda bench: bench.run(IVS_EXPORT_LAEK="x"),
    "a date": lambda bench: bench.run("--since", "yesterday"),
    "a range": lambda bench: bench.run("--since", "2026-11-02", "--until", "2026-11-01"),
    "a shard": lambda bench: bench.run("--shard", "0/4"),
    "an account": lambda bench: bench.run("--account", "production"),
    "an unknown account": lambda bench: bench.run("--account", "9" * 12, "--stage", STAGE),
    "a cluster": lambda bench: bench.run("--dask", "scheduler"),
    "no dask": without_dask,
    "a list for a cluster": lambda bench: bench.lists(f"stage_arn\n{STAGE}\n", "--dask", "local:1"),
    "a hash": lambda bench: bench.run("--privacy-user-id", "hash"),
    "no list": lambda bench: bench.run("--targets", "{folder}/none.csv"),
    "a column": lambda bench: bench.lists(f"stage_arn,sesion_id\n{STAGE},st-1\n"),
    "an id": lambda bench: bench.lists(f"stage_arn,session_id\n{STAGE},st 1\n"),
    "an empty list": lambda bench: bench.lists(""),
    "a report": lambda bench: bench.says("report", "--out", "{folder}", "--lake", "{lake}"),
}
CREDENTIALS: dict[str, Callable[[Bench], list[str]]] = {
    "none": lambda bench: with_profile(bench, ""),
    "a profile": lambda bench: bench.run(AWS_PROFILE="nobodys"),
    "a line break": lambda bench: bench.run(AWS_SECRET_ACCESS_KEY="emulator\n"),
    "a process": lambda bench: with_profile(bench, "[default]\ncredential_process = echo warning\n"),
    "a wrong secret": lambda bench: bench.run(AWS_SECRET_ACCESS_KEY=SECRET),
    "an unknown key": lambda bench: bench.run(AWS_ACCESS_KEY_ID="AKIAOFNOBODY"),
    "another account": lambda bench: bench.run("--account", "9" * 12),
    "expired": lambda bench: bench.run(faults=("expired_token",)),
    "a role": lambda bench: bench.file(f'[[accounts]]\nrole_arn = "{ROLE}"\n'),
    "no sts": lambda bench: bench.file(
        f'[[accounts]]\nrole_arn = "{ROLE}"\n', AWS_ENDPOINT_URL_STS=f"http://{NO_LISTENER}"
    ),
    "a permission": lambda bench: bench.run(faults=("denied operation=ListParticipantEvents",)),
    "a clock": with_clock_off,
}


NETWORK: dict[str, Callable[[Bench], list[str]]] = {
    "an endpoint": lambda bench: bench.run(AWS_ENDPOINT_URL_IVS_REALTIME="ivs.example.com"),
    "a name": lambda bench: bench.run(AWS_ENDPOINT_URL_IVS_REALTIME="http://ivs.invalid"),
    "a port": lambda bench: bench.run(AWS_ENDPOINT_URL_IVS_REALTIME=f"http://{NO_LISTENER}"),
    "silence": lambda bench: bench.run("--read-timeout-s", "0.1", faults=("silence",)),
    "silence of one call": lambda bench: bench.run("--retry-timeout-s", "0.2", faults=("silence",)),
    "a reset": lambda bench: bench.run(faults=("reset",)),
    "an error": lambda bench: bench.run(faults=("server_error status=503",)),
    "throttles": lambda bench: bench.run("--retry-timeout-s", "0.2", faults=("throttle",)),
    "a portal": lambda bench: bench.run(faults=("html",)),
    "a gateway": lambda bench: bench.answered(403, b"<html>no</html>", Server="squid"),
    "a certificate": lambda bench: bench.run(AWS_ENDPOINT_URL_IVS_REALTIME=f"https://{bench.server.tls_host}"),
    "no TLS": lambda bench: bench.run(AWS_ENDPOINT_URL_IVS_REALTIME=f"https://{bench.server.host}"),
    "certificates": lambda bench: bench.run(AWS_CA_BUNDLE="/none.pem"),
    "a kind of proxy": lambda bench: bench.run(HTTP_PROXY="socks5h://127.0.0.1:1"),
    "no proxy there": lambda bench: bench.run(HTTP_PROXY=f"http://{NO_LISTENER}"),
    "a password": lambda bench: bench.answered_by_proxy(407),
    "a proxy's refusal": lambda bench: bench.answered_by_proxy(403),
}
DISK: dict[str, Callable[[Bench], list[str]]] = {
    "full": lambda bench: bench.disk(errno.ENOSPC),
    "quota": lambda bench: bench.disk(errno.EDQUOT),
    "read-only": lambda bench: bench.disk(errno.EROFS),
    "not ours": lambda bench: bench.disk(errno.EACCES),
    "no links": lambda bench: bench.disk(errno.ENOTSUP),
    "too many files": lambda bench: bench.disk(errno.EMFILE),
    "a fault": lambda bench: bench.disk(errno.EIO),
    "a file there": below_a_file,
    "a container's layer": in_a_containers_layer,
    "no export": lambda bench: bench.says("status", "--lake", "{lake}"),
    "a demo's": in_a_demos_lake,
    "another privacy": with_another_privacy,
    "another key": with_another_key,
    "newer": with_newer_lake,
    "no lake file": without_the_lakes_file,
    "altered": with_altered_log,
    "no log": without_log,
    "held": beside_another_run,
    "no temporary folder": without_temporary_folder,
    "few open files": with_few_open_files,
}
S3: dict[str, Callable[[Bench], list[str]]] = {
    "no bucket": lambda bench: bench.s3(404, "NoSuchBucket"),
    "denied": lambda bench: bench.s3(403, "AccessDenied"),
    "a wrong key": lambda bench: bench.s3(403, "InvalidAccessKeyId"),
    "expired": lambda bench: bench.s3(400, "ExpiredToken"),
    "another region": lambda bench: bench.s3(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"),
    "a clock": lambda bench: bench.s3(403, "RequestTimeTooSkewed", "<ServerTime>2026-01-01T00:00:00Z</ServerTime>"),
    "not done": lambda bench: bench.s3(501, "NotImplemented"),
    "busy": lambda bench: bench.s3(503, "SlowDown"),
    "a port": lambda bench: bench.status(f"http://{NO_LISTENER}"),
    "a name": lambda bench: bench.status("http://s3.invalid"),
    "a certificate": lambda bench: bench.status(f"https://{bench.server.tls_host}"),
    "no TLS": lambda bench: bench.status(f"https://{bench.server.host}"),
    "TLS alone": lambda bench: bench.s3_page(400, b"Client sent an HTTP request to an HTTPS server."),
    "a portal": lambda bench: bench.s3_page(403, b"<html/>"),
    "a password": lambda bench: bench.s3_page(407, b"<html/>"),
}


CATALOGS: dict[str, Callable[[Bench], list[str]]] = {
    "no kind": lambda bench: bench.says("publish", "--lake", "{lake}"),
    "no package": without("pyiceberg", "publish", "--lake", "{lake}", "--catalog", "glue"),
    "no address": lambda bench: bench.publish("rest"),
    "in memory": lambda bench: bench.publish("sql", "sqlite://"),
    "a place": lambda bench: bench.publish("rest", "http://c", **{"ivs-export.location": "{lake}"}),
    "a lake's path": lambda bench: bench.says(
        "publish", "--lake", "a#b", "--catalog", "glue", IVS_EXPORT_CATALOG__PROPERTIES="{}"
    ),
    "no lake": lambda bench: bench.says(
        "publish", "--lake", "{lake}", "--catalog", "sql", IVS_EXPORT_CATALOG__PROPERTIES='{"uri": "sqlite:///x.db"}'
    ),
    "no region": lambda bench: bench.publish("glue"),
    "no folder": lambda bench: bench.publish("sql", "sqlite:////no/such/folder/x.db"),
    "no database": lambda bench: bench.publish("sql", "sqlite:///" + str(Path(__file__))),
    "locked": with_locked_catalog,
    "no URL": lambda bench: bench.publish("sql", "nonsense"),
    "a driver": lambda bench: bench.publish("sql", "postgresql+pg8000://x"),
    "a port": lambda bench: bench.publish("rest", f"http://{NO_LISTENER}"),
    "a name": lambda bench: bench.publish("rest", "http://catalog.invalid"),
    "a certificate": lambda bench: bench.publish("rest", f"https://{bench.server.tls_host}"),
    "no TLS": lambda bench: bench.publish("rest", f"https://{bench.server.host}"),
    "a token": lambda bench: bench.rest(401, "NotAuthorizedException"),
    "a permission": lambda bench: bench.rest(403, "ForbiddenException"),
    "a page": lambda bench: bench.rest(404),
    "a permission of Glue's": lambda bench: bench.glue("AccessDeniedException"),
    "keys": lambda bench: bench.glue("UnrecognizedClientException"),
    "another's table": with_others_table,
    "other columns": with_other_columns,
    "a moved lake": with_moved_lake,
    "no description": without_description,
    "another log": with_other_mark,
}
QUERIES: dict[str, Callable[[Bench], list[str]]] = {
    "no duckdb": without("duckdb", "query", "--lake", "{lake}", "SELECT 1"),
    "a table": lambda bench: bench.asks("SELECT * FROM evnts"),
    "a column": lambda bench: bench.asks("SELECT evnt_name FROM events"),
    "no SQL": lambda bench: bench.asks("SELEC 1"),
    "a file": lambda bench: bench.asks("SELECT * FROM read_csv('/etc/passwd')"),
    "a change": lambda bench: bench.asks("DROP VIEW events"),
    "two": lambda bench: bench.asks("SELECT 1; SELECT 2"),
    "a form": lambda bench: bench.asks("SELECT event_name::INT FROM events"),
    "a damaged file": with_damaged_file,
    "a session": with_unknown_session,
    "no folder": lambda bench: bench.says("report", "--lake", "{lake}", "--out", "/no/such/x.html"),
}
WATCHING: dict[str, Callable[[Bench], list[str]]] = {
    "a webhook over http": lambda bench: bench.notifies("http://hooks.example.com/x"),
    "a topic": lambda bench: bench.run(IVS_EXPORT_NOTIFY__SNS_TOPIC_ARN="nights"),
    "a file": lambda bench: bench.run("--metrics-file", "http://host/x"),
    "a status": with_refusing_webhook,
    "a name": lambda bench: bench.notifies(f"https://hooks.invalid/{SECRET}"),
    "a port": lambda bench: bench.notifies(f"http://{NO_LISTENER}/{SECRET}"),
    "a certificate": lambda bench: bench.notifies(f"https://{bench.server.tls_host}/{SECRET}"),
    "no folder": lambda bench: bench.run("--metrics-file", "{folder}/none/x.prom"),
    "no file": lambda bench: bench.run("--metrics-file", "/dev/null"),
    "no package": without("opentelemetry", *RUN, OTEL_TRACES_EXPORTER="otlp"),
    "a protocol": lambda bench: bench.run(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="grpc"),
}


@pytest.mark.parametrize(
    ("heading", "cases"),
    [
        ("Usage and settings", USAGE),
        ("Credentials and permissions", CREDENTIALS),
        ("The way to IVS", NETWORK),
        ("A lake in a directory, and its log", DISK),
        ("A lake on S3", S3),
        ("A catalog", CATALOGS),
        ("Questions and reports", QUERIES),
        ("Notices and metrics", WATCHING),
    ],
)
def test_each_message_of_the_page_is_made(
    heading: str, cases: dict[str, Callable[[Bench], list[str]]], make_bench: Callable[[], Bench]
) -> None:
    """Each case makes one row's message, and no row is without a case."""
    rows = rows_of(heading)
    made: set[str] = set()
    wrong = []
    for name, case in cases.items():
        said = case(make_bench())
        fitting = {message for message, _, _ in rows if any(pattern_of(message).fullmatch(text) for text in said)}
        if len(fitting) != 1:
            wrong.append(f"{name}: {len(fitting)} rows fit {said}")
        made |= fitting
    wrong += [f"no case makes {message}" for message, _, _ in rows if message not in made]
    assert not wrong, "\n".join(wrong)
    assert all(cause and remedy for _, cause, remedy in rows)
