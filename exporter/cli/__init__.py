"""The command line: one module a command, composed in `exporter.cli.app`."""
