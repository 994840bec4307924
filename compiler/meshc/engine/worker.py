"""The worker: a child process in a network of its own, that runs a scene and sends real requests through it.

It reads one pickled `Job` from standard input and writes one pickled `Report` to standard output; only its own parent
speaks to it. Started by `meshc.engine.session`.
"""

import pickle
import sys

from meshc.engine.jobs import run


def main() -> None:
    """Read the job, run it, write the report."""
    job = pickle.load(sys.stdin.buffer)  # noqa: S301  written by our own parent
    report = run(job)
    pickle.dump(report, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
