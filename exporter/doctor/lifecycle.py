"""What a bucket's lifecycle rules mean for a lake. Pure.

Source: Amazon S3 API Reference, "GetBucketLifecycleConfiguration".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Rule = Mapping[str, Any]

_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def is_ended(rules: Iterable[Rule], prefix: str) -> bool:
    """Whether a rule ends uploads of the whole lake that are not completed."""
    return any(
        "AbortIncompleteMultipartUpload" in rule
        and _conditions(rule).keys() <= {"Prefix"}
        and _folder(prefix).startswith(_prefix_of(rule))
        for rule in _in_force(rules)
    )


def faults_of_rules(rules: Iterable[Rule], prefix: str) -> list[str]:
    """What rules do to objects of the lake that a run needs: remove them, or archive them where none can be read.

    A rule that asks for a tag is passed over: no object of the lake has one. One that asks for a size counts.
    """
    found = []
    for rule in _in_force(rules):
        own, name = _prefix_of(rule), quoted(str(rule.get("ID", "without an id")))
        is_of_lake = _folder(prefix).startswith(own) or own.startswith(_folder(prefix))
        if not is_of_lake or _conditions(rule).keys() & {"Tag", "Tags"}:
            continue
        if {"Days", "Date"} & set(rule.get("Expiration", {})):
            found.append(f"the rule {name} removes what begins with {quoted(own)}, which the lake's log names")
        if any(each.get("StorageClass") in _COLD for each in rule.get("Transitions", ())):
            found.append(f"the rule {name} archives what begins with {quoted(own)}, where it can't be read at once")
    return found


def _in_force(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if rule.get("Status") == "Enabled")


def _conditions(rule: Rule) -> dict[str, Any]:
    """What a rule's filter asks of an object. One condition stands there by itself, several stand in its ``And``."""
    found = dict(rule.get("Filter", {}))
    several = found.pop("And", {})
    return {**found, **several}


def _prefix_of(rule: Rule) -> str:
    """What the keys begin with that a rule is for; older rules have it beside their filter."""
    return str(_conditions(rule).get("Prefix", rule.get("Prefix", "")))


def _folder(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""
