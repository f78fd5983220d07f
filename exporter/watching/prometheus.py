"""Metrics as Prometheus' text format, version 0.0.4. Pure. Source: Prometheus, "Exposition formats"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.watching.metrics import Metric, Sample

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def text_of(samples: Iterable[Sample]) -> str:
    """The samples as the file holds them: metric by metric, each after its meaning and its type."""
    by_metric: dict[Metric, list[Sample]] = {}
    for sample in samples:
        by_metric.setdefault(sample.metric, []).append(sample)
    lines: list[str] = []
    for metric, of_metric in by_metric.items():
        lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind.value}"]
        lines += map(_line, of_metric)
    return "\n".join([*lines, ""])


def _line(sample: Sample) -> str:
    metric = sample.metric
    pairs = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(metric.labels, sample.labels, strict=True)]
    labels = f"{{{','.join(pairs)}}}" if pairs else ""
    value = int(sample.value) if float(sample.value).is_integer() else sample.value
    return f"{metric.name}{labels} {value}"
