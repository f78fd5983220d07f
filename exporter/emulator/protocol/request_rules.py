"""What a request may hold, as botocore's own model of IVS Real-Time says: members, types, lengths, patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from botocore.loaders import Loader
from botocore.model import ServiceModel

from exporter.emulator.protocol.errors import Refusal, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The calls that are answered, and the member of the answer that holds what was asked for.
ANSWER_MEMBERS = {
    "ListStages": "stages",
    "ListStageSessions": "stageSessions",
    "ListParticipants": "participants",
    "ListParticipantEvents": "events",
    "ListParticipantReplicas": "replicas",
    "GetStage": "stage",
    "GetStageSession": "stageSession",
    "GetParticipant": "participant",
    "ListTagsForResource": "tags",
    "ListCompositions": "compositions",
    "ListEncoderConfigurations": "encoderConfigurations",
    "ListIngestConfigurations": "ingestConfigurations",
    "ListPublicKeys": "publicKeys",
    "ListStorageConfigurations": "storageConfigurations",
    "GetComposition": "composition",
    "GetEncoderConfiguration": "encoderConfiguration",
    "GetIngestConfiguration": "ingestConfiguration",
    "GetPublicKey": "publicKey",
    "GetStorageConfiguration": "storageConfiguration",
}
OPERATIONS = tuple(ANSWER_MEMBERS)
#: The calls whose answer is a list, page by page.
LISTS = frozenset(name for name in OPERATIONS if name.startswith("List")) - {"ListTagsForResource"}
#: The calls about what no world has: their lists are empty, and nothing that they look up is there.
OF_NOTHING = frozenset(OPERATIONS[OPERATIONS.index("ListCompositions") :])
#: Source: API Reference, ``maxResults`` of each list call.
PAGE_SIZE_DEFAULT = 50

# The model's own pattern allows one letter between the account and the slash, which no resource of IVS has.
_PATTERNS = {("ListTagsForResource", "resourceArn"): r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:[a-z-]+/[a-zA-Z0-9-]+"}

# Every operation is POST /<its name>, but for those that name a resource in their path. Source: botocore's model.
_TAGS_PATH = "/tags/"
_OF_TAGS = {"GET": "ListTagsForResource", "POST": "TagResource", "DELETE": "UntagResource"}

_TYPES: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Rule:
    """What one member of a request must be; None means that the model does not say."""

    name: str
    kind: type
    is_required: bool
    low: int | None
    high: int | None
    pattern: re.Pattern[str] | None
    choices: tuple[str, ...]

    def flaw(self, value: object) -> str | None:
        """What is wrong with a value, as AWS says it, or None."""
        if type(value) is not self.kind:
            return f"Member must be a {self.kind.__name__}"
        if isinstance(value, str):
            return self._flaw_of_text(value)
        if self.kind is int and isinstance(value, int):
            if self.low is not None and value < self.low:
                return f"Member must have value greater than or equal to {self.low}"
            if self.high is not None and value > self.high:
                return f"Member must have value less than or equal to {self.high}"
        return None

    def _flaw_of_text(self, text: str) -> str | None:
        if self.low is not None and len(text) < self.low:
            return f"Member must have length greater than or equal to {self.low}"
        if self.high is not None and len(text) > self.high:
            return f"Member must have length less than or equal to {self.high}"
        if self.pattern is not None and self.pattern.fullmatch(text) is None:
            return f"Member must satisfy regular expression pattern: {self.pattern.pattern}"
        if self.choices and text not in self.choices:
            return f"Member must satisfy enum value set: [{', '.join(self.choices)}]"
        return None


@cache
def rules_of(operation: str) -> Mapping[str, Rule]:
    """The rules of an operation's request, by member, from botocore's data."""
    shape = _service_model().operation_model(operation).input_shape
    rules = {}
    for name, member in shape.members.items():
        limits = member.metadata
        pattern = _PATTERNS.get((operation, name), limits.get("pattern"))
        rules[name] = Rule(
            name=name,
            kind=_TYPES[member.type_name],
            is_required=name in shape.required_members,
            low=limits.get("min"),
            high=limits.get("max"),
            pattern=None if pattern is None else re.compile(pattern),
            choices=tuple(limits.get("enum", ())),
        )
    return rules


@cache
def _service_model() -> Any:  # noqa: ANN401 - botocore has no types
    return ServiceModel(Loader().load_service_model("ivs-realtime", "service-2"), "ivs-realtime")


def read_target(method: str, raw_path: str, body: bytes) -> tuple[str, bytes]:
    """The operation that a request's method and path name, and its body. Raises :class:`Refusal` where they name none.

    What an operation takes from its path is put into the body. ``raw_path`` is percent-encoded, as it was sent. The
    operation is one of AWS's; whether it is answered is another question.
    """
    if raw_path.startswith(_TAGS_PATH) and method in _OF_TAGS:
        return _OF_TAGS[method], msgspec.json.encode({"resourceArn": unquote(raw_path.removeprefix(_TAGS_PATH))})
    operation = raw_path.removeprefix("/")
    if method != "POST" or operation not in _service_model().operation_names or operation in _OF_TAGS.values():
        raise Refusal(404, "UnknownOperationException", f"{method} {raw_path} is no operation of IVS Real-Time")
    return operation, body


def read_request(operation: str, body: bytes) -> dict[str, Any]:
    """The members of a request's body that the model has; others and nulls are left out, as AWS does.

    Raises :class:`Refusal`, a ValidationException, for what the model does not allow.
    """
    try:
        members = _decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid("The request body is not a JSON object") from None
    request = {}
    for name, rule in rules_of(operation).items():
        value = members.get(name)
        if value is None:
            if rule.is_required:
                raise _violated(name, "Member must not be null")
            continue
        if (flaw := rule.flaw(value)) is not None:
            raise _violated(name, flaw)
        request[name] = value
    # Source: API Reference, ListParticipants: "Only one filterBy... parameter" may be used in a request.
    if sum(name.startswith("filterBy") for name in request) > 1:
        raise invalid("Only one filterBy parameter may be used in a request")
    return request


def _violated(name: str, constraint: str) -> Exception:
    return invalid(f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}")
