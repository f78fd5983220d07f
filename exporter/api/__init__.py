"""The way to the IVS Real-Time API.

Where it is (`endpoints`) and how it is reached (`connections`); one attempt (`client`), signed (`signing`) with keys
that are read anew once they have expired (`credentials`); what came of it (`answers`), until it is answered (`caller`),
no faster than the quota (`pace`), page by page (`paging`).
"""
