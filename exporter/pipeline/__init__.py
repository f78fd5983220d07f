"""A run: accounts and regions, the scopes in them, and the way of a unit's events into the lake."""
