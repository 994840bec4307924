"""The io ring: sockets, timers and tasks around the wire and the policy.

Bytes are pulled, never pushed: whoever reads the next block has room for it. One task reads each connection and gives its
events to the exchanges; each exchange has one task that carries it from end to end.
"""
