"""What the exporter is measured against: other ways from the API to Parquet files, each a program of its own.

Each is run as ``python -m benchmarks.peers.NAME URL UNITS FOLDER``: the service's URL, a JSON file with the units to
fetch, and the folder that its Parquet files go to.
"""
