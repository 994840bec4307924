"""The one place that asks what time it is, for the policy ring."""

import time

from meshc_proxy.policy.moment import Moment


def moment() -> Moment:
    """Now."""
    return Moment(wall=time.time(), steady=time.monotonic())
