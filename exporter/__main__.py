"""``python -m exporter``, the same as ``ivs-export``."""

import sys

from exporter.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
