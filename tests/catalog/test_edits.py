"""When a table is changed at all: a commit that says nothing would only be in the way of others."""

from __future__ import annotations

import pytest

from exporter.catalog.edit import TableEdit


@pytest.mark.parametrize(
    ("edit", "of_files", "of_none"),
    [
        (TableEdit(), False, False),
        (TableEdit(is_emptied=True), True, False),
        (TableEdit(properties={"mark": "1"}), True, True),
        (TableEdit(is_emptied=True, forgotten={"mark"}), True, True),
    ],
)
def test_a_table_with_files_and_one_that_never_had_any(*, edit: TableEdit, of_files: bool, of_none: bool) -> None:
    assert edit.is_needed(has_files=True) == of_files
    assert edit.is_needed(has_files=False) == of_none
