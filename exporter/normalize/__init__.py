"""From what IVS answers to rows of the lake's tables: decoded, identified, and in typed columns."""
