"""The exporter as a library: what `exporter.export` does, in a process that belongs to somebody else."""
