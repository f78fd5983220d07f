"""STS as the emulator plays it, and the keys of the roles that it gives."""
