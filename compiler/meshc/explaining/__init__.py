"""Explanations for people: what would change a refusal, and explanations as text and as data.

`meshc.semantics.explain` says why; here the smallest changes are looked for, each proven before it is shown.
"""
