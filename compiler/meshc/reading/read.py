"""Read objects as a whole: a target's reader, and what is the same for all meshes on Kubernetes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshc.ir import Mesh
from meshc.reading.bare import bare
from meshc.reading.kustomizations import patched_services, unlike_kustomized
from meshc.reading.model import Reader, Reading
from meshc.reading.objects import ConfigObject


def read_objects(reader: Reader, objects: Sequence[ConfigObject], known: Mesh, options: Mapping[str, str]) -> Reading:
    """What objects say, for the services of `known`, provided that they reach a mesh as they are."""
    reading = reader((*objects, *patched_services(objects)), bare(known), options)
    return replace(reading, unknown=(*reading.unknown, *unlike_kustomized(objects)))
