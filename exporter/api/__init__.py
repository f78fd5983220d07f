"""The way to the IVS Real-Time API.

One attempt (`client`), what came of it (`answers`), until it is answered (`caller`), no faster than the quota (`pace`),
page by page (`paging`).
"""
