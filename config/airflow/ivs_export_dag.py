"""Every night, all that IVS Real-Time has and the lake lacks.

For Airflow 3.3, with ivs-export installed beside it. Put this file into the folder of DAGs, and set what stands in
capitals. Credentials are those of the worker, found as every AWS tool finds them. A task that is ended, cleared or run
twice does no harm: every event is in the lake once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import exporter

SETTINGS: dict[str, Any] = {
    "lake": "s3://my-lake/ivs",
    "regions": ["eu-west-1"],
    # Before Airflow would end the task by force: what was fetched is committed, and the next try goes on.
    "run": {"deadline_s": 3 * 3_600.0},
}


@dag(
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a run takes all that is missing, whichever nights it is of
    max_active_runs=1,
    tags=["ivs"],
)
def ivs_export() -> None:
    """Export, and try again while there is more to do."""

    @task(retries=6, retry_delay=timedelta(minutes=10), execution_timeout=timedelta(hours=3, minutes=30))
    def export(run_id: str | None = None) -> dict[str, Any]:
        try:
            summary = exporter.export(SETTINGS, exporter.Request(tag=run_id))
        except exporter.UsageError as error:
            raise AirflowFailException(str(error)) from error  # no other try changes it
        if summary["more_to_do"]:
            causes = "; ".join(f"{each['message']} ({each['count']})" for each in summary["failures"][:5])
            raise AirflowException(f"{summary['outcome']}, and more is to do: {causes}")
        return {name: summary[name] for name in ("run_id", "outcome", "units", "sessions", "events", "seconds")}

    export()


ivs_export()
