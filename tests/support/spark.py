"""A Spark in one process, without what pays on large data. It stands on PySpark, which the engines' Python has."""

from __future__ import annotations

from typing import Any

_WANTED = {
    "spark.ui.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.files.minPartitionNum": "1",
    "spark.default.parallelism": "1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def spark_session(zone: str = "UTC") -> Any:
    """The session that whoever asks for one in this process gets from now on."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - see above

    builder = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", zone)
    for key, value in _WANTED.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
