"""The commit log of a scope: records, the state that they add up to, and what adds to them."""
