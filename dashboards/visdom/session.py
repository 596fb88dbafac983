"""What `memviz serve --visdom URL` and `memviz replay --visdom URL` run beside the page of memviz itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from memviz.dashboards.visdom.client import Address, Client
from memviz.dashboards.visdom.offline import LiveLog
from memviz.dashboards.visdom.pace import Pace
from memviz.dashboards.visdom.sink import live
from memviz.dashboards.visdom.stream import Stream
from memviz.errors import ServerError


@dataclass(frozen=True, slots=True)
class Session:
    """A stream that runs beside something else."""

    address: Address | None

    def wait(self) -> None:
        """Do nothing until KeyboardInterrupt, which is let through, while the stream goes on."""
        while True:
            time.sleep(3600)


def serve_beside(
    page: Callable[[], None],
    paths: Sequence[str | Path],
    *,
    visdom: str | None = None,
    offline_log: Path | None = None,
    speed: float | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve memviz's own page and stream beside it, until Ctrl-C.

    Args:
        page: serves the page until Ctrl-C and returns then.
        paths: traces or directories of traces.
        visdom: address of a Visdom server, if panes go there.
        offline_log: file for a replay log, if one is kept.
        speed: see `beside`.
        say: see `beside`.

    Raises:
        ServerError: the page cannot be served and nothing is streamed. With a stream, that is only said.
    """
    with beside(paths, visdom=visdom, offline_log=offline_log, speed=speed, say=say) as session:
        if session.address is not None:
            say(f"streaming to Visdom at {session.address.url}")
        try:
            page()
        except ServerError as error:
            if session.address is None:
                raise
            say(f"{str(error).rstrip('.')}. The stream to Visdom goes on without memviz's own page (Ctrl-C ends it).")
            with suppress(KeyboardInterrupt):
                session.wait()


@contextmanager
def beside(
    paths: Sequence[str | Path],
    *,
    visdom: str | None = None,
    offline_log: Path | None = None,
    speed: float | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Session]:
    """Stream the runs under `paths` for the duration of a with block; nothing in the block waits for it.

    Args:
        paths: traces or directories of traces.
        visdom: address of a Visdom server, if panes go there.
        offline_log: file for a replay log, if one is kept.
        speed: replay the runs so many times as fast as recorded; None shows the newest record.
        say: told in one sentence when the server is gone and when it is back.

    Raises:
        VisdomAddressError: `visdom` is not an address.
        LogError: the log cannot be written.
    """
    address = Address.parse(visdom) if visdom else None
    with ExitStack() as stack:
        if offline_log is not None:
            stack.callback(LiveLog(paths, offline_log, say=say).start().stop)
        if address is not None:
            frontier = live if speed is None else Pace(speed)
            stream = Stream(paths, Client(address), say=say, frontier=frontier)
            stack.callback(stream.start().stop)
        yield Session(address)
