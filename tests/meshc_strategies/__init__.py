"""Random meshes and requests, small and crowded, so that rules and requests meet often; and near misses of requests."""

from meshc_strategies.ir import conditions, meshes, rules, stages
from meshc_strategies.requests import near_misses, requests

__all__ = ["conditions", "meshes", "near_misses", "requests", "rules", "stages"]
