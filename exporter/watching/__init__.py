"""Who hears of a run: a file for Prometheus, an OpenTelemetry collector, a webhook, a topic. None can fail a run."""
