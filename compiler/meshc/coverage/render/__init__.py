"""Renderers of coverage: text for people, plain data for JSON. All of them are pure."""

from meshc.coverage.render.as_json import coverage_to_json, suggestions_to_json
from meshc.coverage.render.text import render_suggestions, render_text

__all__ = ["coverage_to_json", "render_suggestions", "render_text", "suggestions_to_json"]
