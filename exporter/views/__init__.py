"""The views for analysts: one text of SQL for all engines, and what each engine needs below it."""
