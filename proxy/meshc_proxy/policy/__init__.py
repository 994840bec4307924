"""The policy ring: what becomes of a request, as pure functions of a snapshot, the request, its peer, and the time.

It is `meshc.semantics` that decides; here is what a proxy adds: tokens are verified, limits are counted, headers are
cleaned, answers are written. No input or output, no clock: `Moment` brings the time.
"""
