"""Istio as a target: security, networking and telemetry resources for each service."""
