"""Output: compiled files, written into a folder so that it holds the old compile or the new one.

Everything is prepared in `.meshc-staging` inside of the folder: the new files, in full and synced, and second names for the old
ones. Until then nothing else has changed. Then files are renamed into place one by one, stale ones removed, and the manifest
renamed last. If any of that fails, what was done is undone. Only a process killed between the first rename and the last leaves
whole files of both compiles; the manifest is then the old one, so `--check` reports drift, and the next compile mends it: the
staging folder's journal tells which files are meshc's.

Nothing outside of the folder is touched, no symbolic link in it followed, no file changed or removed that no manifest lists.
Somebody who exchanges folders for links while meshc writes is not defended against. Locking and links need a POSIX system.
"""

from meshc.output.compare import compare_output
from meshc.output.manifest import MANIFEST
from meshc.output.model import Drift, ManifestInfo, OutputError, OutputFile, Written
from meshc.output.write import write_output

__all__ = [
    "MANIFEST",
    "Drift",
    "ManifestInfo",
    "OutputError",
    "OutputFile",
    "Written",
    "compare_output",
    "write_output",
]
