"""Who may call whom, as a graph: services, externals and other callers, with an edge wherever some request is let through.

`build.build` takes a mesh and answers with the values of `model`, `focus` keeps a part of it, `render` shows it.
`docs/graph.md` says what the edges mean.
"""
