"""The commands as they are typed: cheap to import, for `--help` imports them all."""
