"""The real engine's building blocks: an isolated network, certificates, Envoy processes, stub services, a client.

Together they run a whole mesh of real Envoys on one machine and send it real requests. Nothing here knows the language
or the intermediate form: the modules take addresses, files and bytes. They need the extra `meshc[envoy]`, and this
package does I/O by nature, so nothing of the compiler's core may import it.
"""
