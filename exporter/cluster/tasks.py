"""A scope as a task that another machine can carry out: what it is handed. Pure.

A task holds no secret. Keys of AWS and of user ids are in the worker's environment, and a role's
external id in the settings' file there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from exporter import __version__
from exporter.errors import UsageError
from exporter.lake.stores.open import is_on_s3
from exporter.model import scope_of
from exporter.pipeline.scope_plan import plan_scopes
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.discovery.request import Request
    from exporter.pipeline.scope_plan import ScopePlan
    from exporter.settings import Settings

#: Sections of the whole night, which the command that hands the tasks out sees to.
_OF_THE_NIGHT = {"catalog", "notify", "telemetry", "query"}


@dataclass(frozen=True, slots=True)
class ScopeTask:
    """One scope to export: the arguments of a run, and its settings as the text of a settings' file.

    ``role_arn`` is set where the role's external id is to be taken from the settings' file of the machine that carries
    the task out. ``version`` is that of the program which made it.
    """

    region: str
    account_id: str | None
    arguments: tuple[str, ...]
    settings: str
    role_arn: str | None = None
    version: str = __version__

    @property
    def name(self) -> str:
        """What logs call it: ``<account>/<region>``, or ``base/<region>``."""
        return f"{self.account_id or 'base'}/{self.region}"


def tasks_of(settings: Settings, request: Request, tag: str, log_level: str) -> list[ScopeTask]:
    """The tasks that a run comes to, one a scope.

    Raises :class:`UsageError` for a list of targets, which is one process's, and as `plan_scopes`.
    """
    if request.targets is not None:
        raise UsageError("--targets with --dask is refused: a list is exported by one process, or by --shard")
    return [_task(settings, request, plan, tag, log_level) for plan in plan_scopes(settings, request)]


def _task(settings: Settings, request: Request, plan: ScopePlan, tag: str, log_level: str) -> ScopeTask:
    account_id = plan.account_id or request.scopes.account_id
    arguments = ["--region", plan.region, "--tag", tag, "--wait", "--log-level", log_level]
    arguments += ["--account", account_id] if account_id is not None else []
    arguments += ["--refetch"] if request.refetch else []
    arguments += ["--backfill-tables"] if request.backfill_tables else []
    for option, moment_us in (("--since", request.period.since_us), ("--until", request.period.until_us)):
        arguments += [option, text_of(moment_us)] if moment_us is not None else []
    has_external_id = plan.account is not None and plan.account.external_id is not None
    role_arn = plan.account.role_arn if has_external_id and plan.account is not None else None
    return ScopeTask(plan.region, plan.account_id, tuple(arguments), settings_text(settings, plan), role_arn)


def settings_text(settings: Settings, plan: ScopePlan) -> str:
    """The settings that a scope is exported with, as the text of a settings' file, without any secret."""
    own = settings.model_copy(
        update={
            "lake": settings.lake if is_on_s3(settings.lake) else str(Path(settings.lake).absolute()),
            "regions": (plan.region,),
            "stages": plan.stage_arns,
            "exclude_stages": tuple(arn for arn in settings.exclude_stages if _is_in(plan, arn)),
            "accounts": ()
            if plan.account is None
            else (plan.account.model_copy(update={"regions": (plan.region,), "external_id": None}),),
        }
    )
    values = own.model_dump(exclude_defaults=True, exclude=_OF_THE_NIGHT)
    return toml_of({"lake": own.lake, **values})


def toml_of(values: Mapping[str, Any]) -> str:
    """Nested values as TOML, but for secrets and what is None."""
    own = {name: value for name, value in values.items() if not _is_left_out(value)}
    lines = [f"{name} = {_literal(value)}" for name, value in own.items() if not _is_nested(value)]
    for name, value in own.items():
        if isinstance(value, dict):
            lines += ["", f"[{name}]", toml_of(value)]
        elif _is_nested(value):
            lines += [line for table in value for line in ("", f"[[{name}]]", toml_of(table))]
    return "\n".join(lines)


def _literal(value: object) -> str:
    """A value of no table. JSON's texts, numbers, lists and truth values are TOML's, too."""
    return json.dumps(value, ensure_ascii=False)


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value)
    )


def _is_left_out(value: object) -> bool:
    return value is None or isinstance(value, SecretStr)


def _is_in(plan: ScopePlan, arn: str) -> bool:
    scope = scope_of(arn)
    return scope is not None and scope.region == plan.region


def with_external_id(text: str, role_arn: str, values: Mapping[str, Any]) -> str | None:
    """The settings of a task with its role's external id, which the values of another file have; None where not."""
    role = f"role_arn = {_literal(role_arn)}"
    for account in values.get("accounts", ()):
        if account.get("role_arn") == role_arn and "external_id" in account:
            return text.replace(role, f"{role}\nexternal_id = {_literal(account['external_id'])}")
    return None
