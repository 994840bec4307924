"""Exact access semantics of one destination port: what becomes of all its requests at once, as decision diagrams."""
