"""Work on the records of traces by the processes of a Dask cluster, on this machine or on many.

A task is a span of records that follow one another. It carries the path of its trace and the ids of its records; the
worker opens the trace and reads one record at a time. Results come back in the order of the records, and only so many
spans are under way at once, so memory is bounded on both sides however long the run is.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from memviz._version import __version__
from memviz.errors import ClusterError, MemvizError
from memviz.trace.reference import TraceReference

if TYPE_CHECKING:
    from memviz.trace.reader import Record, Trace

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"

SPAN = 16
"""Most records in a task: results of a task travel together."""

_SPANS_PER_THREAD = 4
"""Tasks that a short run is cut into for each thread, so that none waits long for the slowest."""

_AHEAD = 3
"""Tasks under way for each thread: one at work, the next ones waiting at its side."""

_SIDE = 8
"""Most runs at once: each keeps its own spans under way."""

_TIMEOUT = 10.0
"""Seconds for a scheduler to answer, and for it to have a worker."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connected cluster; `connect` makes one.

    Attributes:
        client: the `distributed.Client`.
        threads: threads of all workers together, as of when it was connected.
    """

    client: Any
    threads: int

    def each(self, trace: Trace, positions: Sequence[int], function: Callable[[Record], Result]) -> Iterator[Result]:
        """What memviz.analysis.each.Each promises, by the workers.

        Raises:
            ClusterError: the cluster was lost, or a worker died again and again.
            TraceError: a worker cannot see the trace.
        """
        reference, ids = TraceReference.of(trace), trace.ids
        size = min(SPAN, math.ceil(len(positions) / (_SPANS_PER_THREAD * self.threads)))
        spans = (ids[list(positions[start : start + size])].tolist() for start in range(0, len(positions), size or 1))
        pending: deque[Any] = deque()
        try:
            for span in spans:
                pending.append(self.client.submit(_work, reference, span, function, pure=False))
                if len(pending) >= _AHEAD * self.threads:
                    yield from _result(pending.popleft())
            while pending:
                yield from _result(pending.popleft())
        finally:
            # Whoever asked may have what it wanted, or an error ended it: what is left is of no use.
            with contextlib.suppress(Exception):
                self.client.cancel(list(pending))

    def side_by_side(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply a function that uses `each` to several items at once, so that short runs keep all workers busy.

        Yields:
            Results in the order of the items.
        """
        side = min(self.threads, _SIDE)
        pool = ThreadPoolExecutor(side)
        pending: deque[Any] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > side:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # Not waited for: after an error those still at work end when the connection is closed.
            pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def connect(address: str, *, timeout: float = _TIMEOUT) -> Iterator[Cluster]:
    """A cluster for as long as the context lasts.

    Args:
        address: of a scheduler, such as `tcp://10.0.0.1:8786`; or "local" for a process per core of this machine, or
            "local:N" for N of them, which listen on loopback only and end with the context.
        timeout: seconds for a scheduler to answer, and for it to have a worker.

    Raises:
        ClusterError: no scheduler answers there, or it has no workers, or these have another memviz.
        MemvizError: Dask is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise MemvizError(
            "work on a cluster needs Dask, which is not installed; get it with: pip install 'memviz[dask]'"
        ) from None
    with contextlib.ExitStack() as stack:
        target: Any = address
        if address.partition(":")[0] == LOCAL:
            target = stack.enter_context(_local(address, distributed))
        try:
            client = stack.enter_context(distributed.Client(target, timeout=timeout, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"expected a Dask scheduler at {address!r}, such as tcp://127.0.0.1:8786, or local:N for N processes "
                f"on this machine; got: {error}. Start one with `dask scheduler`, and `dask worker ADDRESS` for it"
            ) from error
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError:
            raise ClusterError(
                f"the scheduler at {address} has no workers; start some with: dask worker {address}"
            ) from None
        _check_versions(client)
        yield Cluster(client, max(1, sum(client.nthreads().values())))


def _local(address: str, distributed: Any) -> Any:
    from dask import config
    from dask.system import CPU_COUNT

    _, colon, count = address.partition(":")
    if colon and not (count.isdecimal() and int(count)):
        raise ClusterError(f"expected local or local:N with a number of processes from 1 on, got {address!r}")
    # Dask would have the allocator give every freed array back to the system at once, which costs a third of the speed.
    environ = {k: v for k, v in config.get("distributed.nanny.pre-spawn-environ").items() if "TRIM" not in k}
    with config.set({"distributed.nanny.pre-spawn-environ": environ}):
        return distributed.LocalCluster(
            n_workers=int(count) if colon else CPU_COUNT,
            threads_per_worker=1,
            host="127.0.0.1",
            # Any free port: the usual one of the dashboard may be taken, and None would still ask for it.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
        )


def _check_versions(client: Any) -> None:
    # A function of the standard library, so that a worker without memviz can run it.
    found = client.run(importlib.metadata.version, "memviz", on_error="return")
    for worker, version in found.items():
        if version != __version__:
            has = version if isinstance(version, str) else "none"
            raise ClusterError(
                f"expected memviz {__version__} on every worker, as here, so that all find the same; {worker} has "
                f"{has}. Install it there with: pip install 'memviz[dask]=={__version__}'"
            )


def _work(reference: TraceReference, ids: Sequence[int], function: Callable[[Record], Result]) -> list[Result]:
    """A task: a function of each record of a span, read one by one."""
    return [function(reference.record(record)) for record in ids]


def _result(future: Any) -> Any:
    """The results of a task, what went wrong with the cluster said in words."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"workers died again and again at the same records ({error}). They may need more memory: give each fewer "
            "threads, or start them with a higher --memory-limit"
        ) from error
    except (CancelledError, TimeoutError) as error:
        raise ClusterError(f"the scheduler was lost while the work went on ({error}); start again") from error
