"""Import: readings of a mesh -> a program that people would have written, proven equal to what was read."""

from meshc.importing.known import in_trust_domains, known_services
from meshc.importing.merged import merge_readings
from meshc.importing.origins import described
from meshc.importing.program import Imported, Omitted, import_program

__all__ = ["Imported", "Omitted", "described", "import_program", "in_trust_domains", "known_services", "merge_readings"]
