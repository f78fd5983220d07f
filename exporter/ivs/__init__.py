"""The way to the IVS Real-Time API.

Where it is (`endpoints`) and how it is reached (`http`); one attempt (`client`), signed (`signing`); what came of it
(`responses`, `refusals`), until it is answered (`retry`), no faster than the quota (`pace`), page by page (`paging`).
"""
