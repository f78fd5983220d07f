"""The protocol of IVS Real-Time as the emulator speaks it: requests, errors, page tokens, the quota."""
