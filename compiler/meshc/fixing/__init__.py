"""Quick fixes: removals of what does nothing, offered only where they are proven to change nothing.

`propose` is light; `prove` loads the regions, so whoever only wants to know what might be fixed imports `propose` alone.
"""
