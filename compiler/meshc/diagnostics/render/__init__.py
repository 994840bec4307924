"""Renderers: diagnostics as text for people, JSON for programs, annotations for GitHub, SARIF and JUnit. All of them are pure."""

from meshc.diagnostics.render.as_github import render_github
from meshc.diagnostics.render.as_json import render_json
from meshc.diagnostics.render.as_junit import render_junit
from meshc.diagnostics.render.as_sarif import render_sarif
from meshc.diagnostics.render.style import ColorChoice, Style, choose_style
from meshc.diagnostics.render.text import render_text, summary

__all__ = [
    "ColorChoice",
    "Style",
    "choose_style",
    "render_github",
    "render_json",
    "render_junit",
    "render_sarif",
    "render_text",
    "summary",
]
