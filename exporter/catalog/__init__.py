"""Tables in a catalog: the lake's own files, published into Iceberg tables, each once."""
