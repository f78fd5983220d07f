"""What may not be written of users is in no byte of a lake, whatever AWS sends and however often it is asked."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.cli import exit_codes
from exporter.cli.app import main
from exporter.discovery.request import Request
from exporter.emulator import Emulator, FixedWorld
from exporter.errors import UsageError
from exporter.settings import PrivacySettings, TableSettings
from tests.support.exports import ACCOUNT, REGION, options_of, stage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.exports import Exports

KEY = "correct horse battery staple"
STARTED, ENDED, AT = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T10:30:00.25Z"
_ZSTD = bytes.fromhex("28b52ffd")


def token(number: int, **changes: Any) -> dict[str, Any]:
    """A token of a user, with an attribute that may be kept and one that may not."""
    attributes = {"plan": f"RAW-PLAN-{number}", "displayName": f"RAW-NAME-{number}"}
    return {"capabilities": ["PUBLISH"], "userId": f"RAW-USER-{number}", "attributes": attributes, **changes}


def tokens() -> Iterator[Any]:
    """Tokens as they should be, and as nobody expects them."""
    yield token(0)
    yield token(1, expirationTime="2026-11-22T12:00:00Z")
    yield token(2, userId=["RAW-USER-2"])
    yield token(3, userId={"id": "RAW-USER-3"})
    yield token(4, attributes=[{"displayName": "RAW-NAME-4"}])
    yield token(5, attributes={"displayName": {"text": "RAW-NAME-5"}, "plan": 5})
    yield token(6, owner={"userId": "RAW-USER-6a", "attributes": {"displayName": "RAW-NAME-6a"}})
    yield token(7, issuer="RAW-EXTRA-7", expirationTime=7)
    yield "RAW-TOKEN-8"
    yield [token(9), "RAW-TOKEN-9"]
    yield token(0, userId="")


def events() -> list[Any]:
    """The tokens in events with a time and without one, and members that no model knows."""
    found: list[Any] = []
    for odd in tokens():
        exchange = {"name": "TOKEN_EXCHANGED", "previousToken": token(20), "newToken": odd}
        found += [{**exchange, "eventTime": AT}, {**exchange, "eventTime": "RAW-TIME"}, exchange]
    found.append({"name": "JOINED", "eventTime": AT, "userId": "RAW-USER-30", "observedBy": {"host": "RAW-EXTRA-30"}})
    found.append({"name": "LEFT", "eventTime": AT, "attributes": {"displayName": "RAW-NAME-31", "plan": "RAW-PLAN-31"}})
    found.append({"name": "LEFT", "eventTime": AT, "user_id": "RAW-USER-32", "replica": {"userId": "RAW-USER-33"}})
    twice = b'{"name":"JOINED","eventTime":"%s","newToken":{"userId":"RAW-USER-34","userId":"RAW-USER-35"}}'
    return [*found, twice % AT.encode()]


def world(extra_events: list[Any]) -> dict[tuple[str, str], FixedWorld]:
    """One session that is over, with a participant of each kind of list item."""
    attributes = {"displayName": "RAW-NAME-44", "plan": "RAW-PLAN-44"}
    details = {"browserName": "Firefox", "attributes": attributes, "owner": {"userId": "RAW-USER-44"}}
    participants: list[dict[str, Any]] = [
        {"participantId": "p1", "userId": "RAW-USER-40", "events": events() + extra_events},
        {"participantId": "p2", "userId": ["RAW-USER-41"], "events": [], "observedBy": "RAW-EXTRA-41"},
        {"participantId": "p4", "userId": "RAW-USER-43", "attributes": ["RAW-NAME-43"], "events": []},
        {"participantId": "p5", "userId": "RAW-USER-45", "events": [], "details": details},
        {"participantId": "p3", "attributes": {"displayName": "RAW-NAME-42", "plan": "RAW-PLAN-42"}, "events": []},
    ]
    session = {"sessionId": "st-0000000000001", "startTime": STARTED, "endTime": ENDED, "participants": participants}
    return {(ACCOUNT, REGION): FixedWorld([{"arn": stage_of("one"), "name": "one", "sessions": [session]}])}


def bytes_of(lake: Path) -> bytes:
    """All bytes of a lake, and all that is packed in them."""
    return b"\n".join(part for path in sorted(lake.rglob("*")) if path.is_file() for part in unpacked(path))


def unpacked(path: Path) -> Iterator[bytes]:
    """A file as it stands, with its name, and each packed page of it."""
    data = path.read_bytes()
    yield path.name.encode()
    yield data
    for found in re.finditer(re.escape(_ZSTD), data):
        with suppress(OSError), pa.input_stream(pa.BufferReader(data[found.start() :]), "zstd") as page:
            while part := page.read(1):
                yield part


def raw_values(data: bytes) -> set[str]:
    """The values that only AWS's answers have, by what they are."""
    return {found.decode() for found in re.findall(rb"RAW-[A-Z]+", data)}


def rows_of(lake: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(lake.glob("events/*/*.parquet")) for row in pq.read_table(file).to_pylist()]


#: The settings, and what they leave. An eventTime that can't be read is the reason for a reject, and no user's.
MODES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "keep": ({}, {"RAW-USER", "RAW-NAME", "RAW-PLAN", "RAW-EXTRA", "RAW-TOKEN", "RAW-TIME"}),
    "hash": ({"user_id": "hash"}, {"RAW-NAME", "RAW-PLAN", "RAW-EXTRA", "RAW-TIME"}),
    "drop": ({"user_id": "drop", "attributes": "drop"}, {"RAW-EXTRA", "RAW-TIME"}),
    "some": ({"attributes": ("plan",)}, {"RAW-USER", "RAW-PLAN", "RAW-EXTRA", "RAW-TIME"}),
    "columns": ({"extra": "drop"}, {"RAW-USER", "RAW-NAME", "RAW-PLAN", "RAW-TIME"}),
    "least": ({"user_id": "hash", "attributes": "drop", "extra": "drop"}, {"RAW-TIME"}),
}


@pytest.mark.parametrize("mode", MODES)
async def test_no_byte_of_a_lake_says_what_is_hidden(mode: str, exports: Exports) -> None:
    """Records, snapshots, rejects and data files, packed or not, after a first run and a refetch that finds more.

    What is kept is there, so that the test looks in the right place.
    """
    changes, left = MODES[mode]
    privacy = PrivacySettings.model_validate({**changes, "key": KEY})
    later = {"name": "TOKEN_EXCHANGED", "eventTime": AT, "newToken": token(50), "previousToken": token(20)}
    for request, more in ((Request(), []), (Request(refetch=True), [later, later]), (Request(refetch=True), [later])):
        async with Emulator(options_of(), world(more)) as emulator:
            exported = await exports.run(emulator, request, privacy=privacy, tables=TableSettings(details=True))
            assert exported.exit_code == exit_codes.PARTIAL  # for the rejects
    found = raw_values(bytes_of(exports.lake))
    assert found == left
    assert KEY.encode() not in bytes_of(exports.lake)
    rows = rows_of(exports.lake)
    assert len(rows) == len({row["event_id"] for row in rows}) == len(list(tokens())) + 4 + 2
    rejects = [json.loads(line) for file in exports.lake.glob("_rejects/*") for line in file.read_text().splitlines()]
    assert len(rejects) == 2 * len(list(tokens()))


async def test_ids_are_those_of_what_aws_sent(exports: Exports, tmp_path: Path) -> None:
    """Whatever is hidden, an event and a reject have the same id, and one user has one hash wherever it stands."""
    ids: list[tuple[set[int], set[str]]] = []
    for number, (changes, _) in enumerate(MODES.values()):
        exports.lake = tmp_path / f"{number}" / "lake"
        privacy = PrivacySettings.model_validate({**changes, "key": KEY})
        async with Emulator(options_of(), world([])) as emulator:
            await exports.run(emulator, privacy=privacy)
        lines = [line for file in exports.lake.glob("_rejects/*") for line in file.read_text().splitlines()]
        rows = rows_of(exports.lake)
        ids.append(({row["event_id"] for row in rows}, {json.loads(line)["reject_id"] for line in lines}))
        if changes.get("user_id") == "hash":
            digest = hmac.digest(KEY.encode(), b"RAW-USER-20", "sha256").hex()[:32]
            of_rows = {row["previous_token"]["user_id"] for row in rows if row["previous_token"]}
            assert of_rows == {digest}
            assert all(digest in line for line in lines)
    assert all(found == ids[0] for found in ids)


@pytest.mark.parametrize(
    "other",
    [PrivacySettings(), PrivacySettings.model_validate({"user_id": "hash", "key": "another"})],
    ids=["mode", "key"],
)
async def test_another_privacy_is_refused_before_anything_is_asked_or_written(
    other: PrivacySettings, exports: Exports
) -> None:
    """Exit 2 without a call of IVS, and the lake stays as it is."""
    async with Emulator(options_of(), world([])) as emulator:
        await exports.run(emulator, privacy=PrivacySettings.model_validate({"user_id": "hash", "key": KEY}))
        before, calls = bytes_of(exports.lake), emulator.calls.granted.total()
        exported = await exports.run(emulator, privacy=other)
        assert emulator.calls.granted.total() == calls
    assert isinstance(exported.error, UsageError)
    assert exported.exit_code == exit_codes.USAGE
    assert bytes_of(exports.lake) == before


async def test_hashing_without_a_key_is_refused(exports: Exports) -> None:
    """Exit 2, with the variable to set, and no lake is made."""
    async with Emulator(options_of(), world([])) as emulator:
        exported = await exports.run(emulator, privacy=PrivacySettings(user_id="hash"))
        assert not emulator.calls.granted
    assert exported.exit_code == exit_codes.USAGE
    assert "set IVS_EXPORT_PRIVACY__KEY" in str(exported.error)
    assert not exports.lake.exists()


def test_mending_keeps_a_lakes_privacy(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither verify nor repair needs the key or changes the lake's file; a lost one is made by the settings."""

    async def export() -> int:
        async with Emulator(options_of(), world([])) as emulator:
            exported = await exports.run(
                emulator, privacy=PrivacySettings.model_validate({"user_id": "hash", "key": KEY})
            )
            return exported.exit_code

    assert asyncio.run(export()) == exit_codes.PARTIAL
    file = exports.lake / "_log/lake.json"
    body = file.read_bytes()
    monkeypatch.setenv("IVS_EXPORT_PRIVACY__USER_ID", "hash")
    for command in ("verify", "repair"):
        assert main([command, "--lake", str(exports.lake)]) == exit_codes.OK
        assert file.read_bytes() == body
    file.unlink()
    assert main(["repair", "--lake", str(exports.lake)]) == exit_codes.USAGE
    monkeypatch.setenv("IVS_EXPORT_PRIVACY__KEY", KEY)
    assert asyncio.run(export()) == exit_codes.USAGE
    assert main(["repair", "--lake", str(exports.lake)]) == exit_codes.OK
    assert json.loads(file.read_bytes())["privacy"] == json.loads(body)["privacy"]
    assert asyncio.run(export()) == exit_codes.PARTIAL
