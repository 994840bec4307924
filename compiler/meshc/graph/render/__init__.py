"""Renderers of a `Graph`: Mermaid, DOT, SVG, one page of HTML, JSON."""

from meshc.graph.render.as_html import render_html
from meshc.graph.render.as_json import render_json
from meshc.graph.render.dot import render_dot
from meshc.graph.render.mermaid import render_mermaid
from meshc.graph.render.svg import render_svg

__all__ = ["render_dot", "render_html", "render_json", "render_mermaid", "render_svg"]
