"""STS as the emulator plays it, and the keys of assumed roles."""
