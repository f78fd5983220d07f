"""Faults that the emulator is asked for: their texts, their plan, and what is answered."""
