"""Print the whole table of figures: `python bench/run.py [--json FILE] [GROUP…]`."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from measure import Figure

GROUPS = ("compiling", "deciding", "differing", "proxying")


def main() -> int:
    """Run the groups that are named, or all."""
    parser = argparse.ArgumentParser(description="Measure meshc beside its peers, in one run on this machine.")
    parser.add_argument("groups", nargs="*", default="all", choices=(*GROUPS, "all"), help="groups of figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    rows: list[Figure] = []
    for group in GROUPS if "all" in arguments.groups else arguments.groups:
        for figure in import_module(group).figures():
            rows.append(figure)
            print(shown(figure), flush=True)
    if arguments.json is not None:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        listed = [{**asdict(row), "ratio": row.ratio} for row in rows]
        arguments.json.write_text(json.dumps({"machine": machine, "figures": listed}, indent=2), encoding="utf-8")
    return 0


def shown(figure: Figure) -> str:
    """One figure as a line."""
    peer = "absent" if figure.peer_value is None else f"{figure.peer_value:,.1f} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:,.2f} ×"
    met = ""
    if figure.goal is not None and figure.ratio is not None:
        met = f"goal {figure.goal:g} × {'met' if figure.ratio >= figure.goal else 'MISSED'}"
    note = f"  ({figure.note})" if figure.note else ""
    return f"{figure.name}: {figure.value:,.1f} {figure.unit}; {figure.peer}: {peer}; {ratio} {met}{note}"


if __name__ == "__main__":
    sys.exit(main())
