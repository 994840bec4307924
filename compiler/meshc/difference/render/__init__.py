"""Renderers of a `Difference`: text for terminals, JSON, Markdown for pull requests, one page of HTML, SARIF."""

from meshc.difference.render.as_html import render_html
from meshc.difference.render.as_json import render_json
from meshc.difference.render.as_markdown import render_markdown
from meshc.difference.render.as_sarif import render_sarif
from meshc.difference.render.text import render_text

__all__ = ["render_html", "render_json", "render_markdown", "render_sarif", "render_text"]
