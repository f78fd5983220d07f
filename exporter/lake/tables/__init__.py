"""The lake's tables, and all folders of files that records name."""

from __future__ import annotations

from exporter.lake.tables.events import EVENTS

#: All tables of the lake. What is said of a lake is said of each of them.
TABLES = (EVENTS,)
#: The folder of files with events that have no place in a table, and what a record calls the table that these are of.
REJECTS = "_rejects"
#: The folders of all files that records name.
FOLDERS = (*(table.name for table in TABLES), REJECTS)
