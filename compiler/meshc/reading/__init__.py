"""Reading meshes back: configuration that a mesh runs -> the intermediate form, with an account of what was not understood.

Here is what every reader shares: objects with their places, and what a reading is. The readers themselves are the targets'.
"""

from meshc.reading.bare import bare
from meshc.reading.model import Aspect, Assumption, Reader, Reading, Unknown
from meshc.reading.objects import ConfigObject, Step, objects_of_documents, objects_of_source
from meshc.reading.read import read_objects

__all__ = [
    "Aspect",
    "Assumption",
    "ConfigObject",
    "Reader",
    "Reading",
    "Step",
    "Unknown",
    "bare",
    "objects_of_documents",
    "objects_of_source",
    "read_objects",
]
