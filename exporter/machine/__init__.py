"""The machine that a run is on: its clock, its memory and open files, and how this program was installed there."""
