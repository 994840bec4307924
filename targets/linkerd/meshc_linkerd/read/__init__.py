"""Reading Linkerd back: objects of a cluster -> the intermediate form, by what Linkerd documents, whoever wrote them.

`expressed` says what emission must read back as.
"""

from meshc_linkerd.read.account import ASSUMES
from meshc_linkerd.read.expressed import expected, expressed
from meshc_linkerd.read.reader import read

__all__ = ["ASSUMES", "expected", "expressed", "read"]
