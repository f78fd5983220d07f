"""Exports Amazon IVS Real-Time participant events into a data lake of Parquet files."""

__version__ = "0.1.0"
