"""The complete difference of two programs in meaning: who may newly reach what, what goes elsewhere, what is set otherwise.

`compare.Comparer` takes two meshes and answers with the values of `model`; `render` shows them. `docs/diff.md` says what is
compared.
"""
