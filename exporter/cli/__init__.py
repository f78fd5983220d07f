"""The command line: what is typed (`commands`), what it does (`actions`), composed in `app`."""
