"""Configuration with values of any kind in any place: it is refused in words, and the watch of the files goes on."""

import asyncio
import copy
import os
import signal
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import pytest
import yaml

from envoy_lab import compile_mesh
from meshc.ir import Mesh
from meshc.reading import objects_of_source
from meshc.site import Site
from meshc.source import BUILTIN, SourceFile
from meshc.targets import find_target
from meshc.verification import texts_of
from meshc_proxy.io.standalone import Running, Source, _Process
from proxy_lab import Lab, until

SHOP: Final = """mesh shop { mtls strict }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http port 81 grpc port 82 tcp }
access cart { deny web to POST /x/** when header "x-a" == "1"  allow web to GET /a/{id} }
telemetry cart { access-log json }
"""
JUNK: Final = (
    None,
    -1,
    2**70,
    1.5,
    "",
    "x",
    [],
    {},
    [None],
    {"a": 1},
    True,
    [[]],
    {"@type": 3},
    "1e99s",
    "10.0.0.0/99",
)
EDITS: Final = 40

Place = tuple[str | int, ...]


def places(value: object, at: Place = ()) -> Iterator[Place]:
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_any_value_in_any_place_is_refused_in_words(seed: int) -> None:
    rng = Random(seed)
    target = find_target("envoy")
    assert target.read is not None
    assert target.sites is not None
    mesh = compile_mesh(SHOP)
    known = Mesh(**{**{name: getattr(mesh, name) for name in mesh.__slots__}, "workloads": (), "span": BUILTIN})
    text = next(one for path, one in texts_of(target, target.emit(mesh, {}).documents).items() if "cart" in str(path))
    whole = yaml.safe_load(text)
    every = [one for one in places(whole) if one]
    for _ in range(EDITS):
        edited = copy.deepcopy(whole)
        *steps, last = rng.choice(every)
        parent = edited
        for step in steps:
            parent = parent[step]
        parent[last] = rng.choice(JUNK)
        objects, _ = objects_of_source(SourceFile(path="cart.yaml", text=yaml.safe_dump(edited)))
        reading = target.read(objects, known, {})
        target.sites(objects, reading.mesh)


@pytest.mark.slow
def test_the_watch_outlives_what_cannot_be_read(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        sidecar = lab.sidecar("cart")
        await sidecar.stop()
        setup = sidecar.setup
        said: list[str] = []
        stamp = [0]

        def load() -> tuple[Mesh, Site]:
            if stamp[0] == 1:
                raise RecursionError
            return setup.mesh, setup.site

        process = _Process(
            Source(load=load, stamp=lambda: stamp[0]), Running(admin=None, drain_s=0.1, say=said.append), setup, 0
        )
        running = asyncio.create_task(process.run())
        await until(lambda: said != [], 3.0)
        stamp[0] = 1
        await until(lambda: any("the last good one stays" in one for one in said), 5.0)
        stamp[0] = 2
        await until(lambda: "configuration 2 runs" in said, 5.0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    run(SHOP, scenario)
