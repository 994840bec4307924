"""Scaffold: the name of a directory -> the files of a new project that compiles, for `meshc init`.

Nothing is written here, and only the package's own templates are read; the command line writes the files, and never over others.
"""

import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from meshc._version import __version__
from meshc.config import SCHEMA_ADDRESS

_FILES: Final = (
    ("meshc.yaml", "meshc.yaml.j2"),
    ("policies/{name}.mesh", "policy.mesh.j2"),
    ("policies/README.md", "readme.md.j2"),
    (".github/workflows/meshc.yml", "workflow.yml.j2"),
    (".pre-commit-config.yaml", "pre-commit.yaml.j2"),
)
_RESERVED: Final = frozenset({"mesh", "namespace", "group", "identity", "anyone", "authenticated"})
_LONGEST_NAME: Final = 40
_FALLBACK: Final = "shop"


def scaffold(directory_name: str) -> tuple[tuple[str, str], ...]:
    """Relative path, with forward slashes, and text of each file. The mesh is named after the directory, as far as a name can be."""
    name = _mesh_name(directory_name)
    # The templates make text and configuration, no HTML: escaping would spoil them.
    templates = Environment(
        loader=PackageLoader("meshc"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    values = {"name": name, "schema": SCHEMA_ADDRESS, "version": __version__}
    return tuple((path.format(name=name), templates.get_template(file).render(values)) for path, file in _FILES)


def _mesh_name(directory_name: str) -> str:
    """The nearest name of the language: lower-case letters, digits and inner hyphens, at least one letter, no reserved word."""
    name = re.sub(r"[^a-z0-9]+", "-", directory_name.lower())[:_LONGEST_NAME].strip("-")
    if not re.search("[a-z]", name):
        name = f"{_FALLBACK}-{name}".strip("-")
    return f"{name}-policies" if name in _RESERVED else name
