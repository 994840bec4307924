"""Reading Envoy's configuration back: bootstraps and config dumps of sidecars -> the intermediate form.

`read` understands configuration whoever wrote it, `expressed` says what emission must read back as.
"""

from meshc_envoy.read.expressed import expressed
from meshc_envoy.read.notes import ASSUMES, BUNDLES
from meshc_envoy.read.reader import read

__all__ = ["ASSUMES", "BUNDLES", "expressed", "read"]
