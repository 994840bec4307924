"""Diagnostics: findings as values, one registry of their names, and renderers apart from both."""

from meshc.diagnostics.model import Diagnostic, Fix, Label, Severity, TextEdit
from meshc.diagnostics.rules import RULES, DiagnosticRule, diagnose

__all__ = ["RULES", "Diagnostic", "DiagnosticRule", "Fix", "Label", "Severity", "TextEdit", "diagnose"]
