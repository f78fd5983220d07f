"""The page on Athena: the names on it, and the policies that go with it."""

from __future__ import annotations

import inspect
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.catalog import glue
from exporter.catalog.hive import LAKE_URL, hive_name
from exporter.lake.tables import REJECTS, TABLES
from exporter.views.engines import PROJECTED_DATES

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).parents[2] / "config"
LAKE = "arn:aws:s3:::my-lake"


def statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CONFIG / name).read_text())["Statement"]
    return found


def pairs(name: str, effect: str) -> Iterator[tuple[str, str]]:
    """Each action with each resource of the statements of an effect."""
    for statement in statements(name):
        if statement["Effect"] == effect:
            resources = statement["Resource"]
            for resource in [resources] if isinstance(resources, str) else resources:
                yield from ((action, resource) for action in statement["Action"])


def is_allowed(name: str, action: str, resource: str) -> bool:
    """Whether a policy allows an action: some statement does, and none denies it."""
    allowed, denied = (
        any(action == each and fnmatchcase(resource, pattern) for each, pattern in pairs(name, effect))
        for effect in ("Allow", "Deny")
    )
    return allowed and not denied


def test_the_page_names_what_there_is() -> None:
    """The tables, the mark of ours and the first date are those of the code."""
    page = (CONFIG.parent / "docs" / "athena.md").read_text()
    assert all(f"`{hive_name(table)}`" in page for table in TABLES)
    assert f"`{LAKE_URL}`" in page
    assert f"from {PROJECTED_DATES.partition(',')[0]}," in page


def test_the_policy_of_glue_names_what_is_called() -> None:
    """Each call that the exporter makes itself, and what PyIceberg asks besides; nothing with a star."""
    called = set(re.findall(r'_call\(\s*"(\w+)"', inspect.getsource(glue)))
    actions = {action for action, _ in pairs("glue-policy.json", "Allow")}
    camel = {"glue:" + "".join(word.capitalize() for word in name.split("_")) for name in called}
    assert camel | {"glue:GetDatabase"} == actions
    assert not any("*" in action for action in actions)


def test_analysts_read_the_tables_and_change_nothing() -> None:
    """The files of all tables, and what describes them; not the log, nor the rejects; and no call that writes."""
    name = "analyst-policy.json"
    folders = [table.name for table in TABLES] + ["_iceberg"]
    assert all(is_allowed(name, "s3:GetObject", f"{LAKE}/ivs/{folder}/a.parquet") for folder in folders)
    assert not any(is_allowed(name, "s3:GetObject", f"{LAKE}/ivs/{folder}/a") for folder in ("_log", REJECTS))
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert (action, f"{LAKE}/*") in set(pairs(name, "Deny"))
        assert not is_allowed(name, action, f"{LAKE}/ivs/events/a.parquet")
    of_glue = {action for action, _ in pairs(name, "Allow") if action.startswith("glue:")}
    assert all(action.startswith("glue:Get") for action in of_glue)
    assert not any("*" in action for action, _ in pairs(name, "Allow"))
    assert not is_allowed(name, "s3:DeleteObject", "arn:aws:s3:::my-athena-results/a")
