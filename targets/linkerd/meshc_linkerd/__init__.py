"""Linkerd as a target: servers, routes and authorizations for each service."""
