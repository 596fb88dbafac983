"""Time `memviz doctor --all --film` alone and by the worker processes of a local Dask cluster.

    python benchmarks/bench_dask.py [--records 300] [--workers 1 2] [--rounds 3]

A record is that of a DNC with N=64 slots, W=32, 4 read heads, T=42, batch 8, generators and keyframes stored, so that
memory and links are derived on the way. Starting the cluster is timed apart: it is paid once, however many runs follow.
The reports are compared, too. Run it where nothing else runs: workers beyond the number of free cores gain nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import memviz
from memviz.analysis.cluster import connect
from memviz.analysis.diagnostics import examine
from memviz.analysis.each import in_turn
from memviz.analysis.film import film
from memviz.testing.synthetic import write_dnc_run

SIZES = {"times": 42, "slots": 64, "words": 32, "read_heads": 4, "batch": 8}


def analyse(path: Path, each):
    """Open the trace, examine every record, take the film; returns both as JSON."""
    trace = memviz.open(path)
    return examine(trace, sample=None, each=each).to_json(), film(trace, keep=False, each=each).to_json()


def seconds(path: Path, each, rounds: int):
    """Median seconds over the rounds, and what was found."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        found = analyse(path, each)
        times.append(time.perf_counter() - begun)
    return statistics.median(times), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write_dnc_run(Path(folder) / "run", steps=args.records, **SIZES).path
        print(f"{args.records} records, all examined and filmed; {os.cpu_count()} cores, median of {args.rounds}")
        alone, expected = seconds(path, in_turn, args.rounds)
        print(f"{'alone, in this process':28} {alone:7.2f} s   {args.records / alone:6.1f} records/s")
        for count in args.workers:
            begun = time.perf_counter()
            with connect(f"local:{count}") as cluster:
                started = time.perf_counter() - begun
                analyse(path, cluster.each)  # the workers import what they need
                took, found = seconds(path, cluster.each, args.rounds)
            assert found == expected, "the cluster found something else"
            print(
                f"{f'{count} worker' + 's' * (count > 1):28} {took:7.2f} s   {args.records / took:6.1f} records/s   "
                f"{alone / took:.2f}x   (started in {started:.1f} s)"
            )
    print("found alone and by every cluster: the same, bit for bit")


if __name__ == "__main__":
    main()
