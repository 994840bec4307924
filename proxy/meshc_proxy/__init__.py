"""The reference proxy: what a compiled policy means, done to real connections.

Three rings, each knowing only the ones within: `policy` decides, `wire` turns bytes into events and back, and `io` owns
sockets and timers. It needs the extra `meshc[proxy]`.
"""
