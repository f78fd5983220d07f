"""The rows in memory are bounded over all scopes: the fullest one commits."""

from __future__ import annotations

from functools import partial

from exporter.budget import Budget


def test_the_fullest_scope_is_woken_when_the_bound_is_reached() -> None:
    """Of three scopes that hold a hundred rows together, the one with the most is woken, and none before."""
    budget = Budget(100)
    woken: list[str] = []
    first, second, third = (budget.share(partial(woken.append, name)) for name in "abc")
    first.hold(30)
    second.hold(60)
    assert woken == []
    third.hold(10)
    assert woken == ["b"]
    second.hold(0)
    first.hold(80)
    assert woken == ["b"]
    third.hold(20)
    assert woken == ["b", "a"]
