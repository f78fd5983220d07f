"""The machine that a run is on: its clocks, and how many files it lets a process open."""
