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
        "AbortIncompleteMultipartUpload" in rule and _folder(prefix).startswith(_prefix_of(rule))
        for rule in _of_all(rules)
    )


def faults_of_rules(rules: Iterable[Rule], prefix: str) -> list[str]:
    """What rules do to objects of the lake that a run needs: remove them, or archive them where none can be read."""
    found = []
    for rule in _of_all(rules):
        own, name = _prefix_of(rule), quoted(str(rule.get("ID", "without an id")))
        if not (_folder(prefix).startswith(own) or own.startswith(_folder(prefix))):
            continue
        if {"Days", "Date"} & set(rule.get("Expiration", {})):
            found.append(f"the rule {name} removes what begins with {quoted(own)}, which the lake's log names")
        if any(each.get("StorageClass") in _COLD for each in rule.get("Transitions", ())):
            found.append(f"the rule {name} archives what begins with {quoted(own)}, where it can't be read at once")
    return found


def _of_all(rules: Iterable[Rule]) -> Iterator[Rule]:
    """The rules that are in force, but for those for some tags or sizes only."""
    for rule in rules:
        found = rule.get("Filter", {})
        narrow = {"Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"} & set(found)
        if rule.get("Status") == "Enabled" and not narrow:
            yield rule


def _prefix_of(rule: Rule) -> str:
    return str(rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")))


def _folder(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""
