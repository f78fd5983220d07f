"""Scopes as tasks on other machines."""
