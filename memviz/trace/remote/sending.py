"""Begin to record into a trace on a server, and finish one that was left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from memviz.errors import TraceCorrupt, TraceNotFound
from memviz.trace.files import read_json
from memviz.trace.remote.link import Address, Link
from memviz.trace.remote.mirror import Uploader
from memviz.trace.remote.push import Pusher, push
from memviz.trace.remote.spool import SPOOL_FILE, SPOOL_LIMIT, SpoolWriter, new_session, spool_folder
from memviz.trace.schema import TraceHeader


def start_sending(
    url: str, header: TraceHeader, *, limit: int, token: str | None = None, say: Callable[[str], None] | None = None
) -> SpoolWriter:
    """A writer whose records are sent to a server as they come, once it may begin; the server need not be up yet.

    Raises:
        RemoteError: the address is none.
        OSError: the spool cannot be made.
    """
    address, session = Address.parse(url), new_session()
    rank = f"-rank{header.rank}" if header.world_size > 1 else ""
    folder = spool_folder(f"{address.run}{rank}", session)
    target = {"url": str(address), "session": session}
    writer = SpoolWriter.start(folder, header, target, min(limit, SPOOL_LIMIT))
    pusher = Pusher(writer.path, Link(address, session, token), release=writer.release, say=say)
    writer.on_begin, writer.on_change, writer.on_close = pusher.start, pusher.wake, pusher.finish
    return writer


def push_left(spool: Path, url: str | None = None, token: str | None = None) -> str:
    """Send what a run has left in its spool; returns a sentence.

    Args:
        spool: the folder that was named when the run ended.
        url: where to send it instead of where the run did.
        token: as for the run.

    Raises:
        TraceNotFound: it is no spool.
        RemoteError: the server cannot be reached or refuses.
    """
    try:
        target = read_json(spool / SPOOL_FILE, 2**16)
        place, session = url or str(target["url"]), str(target["session"])
    except (OSError, KeyError, TraceCorrupt):
        raise TraceNotFound(
            f"{spool} holds nothing that was to be sent (no {SPOOL_FILE}); expected the folder that the run named"
        ) from None
    if not place.startswith(("memviz://", "memvizs://")):
        Uploader(spool, place).upload(whole=True)
        shutil.rmtree(spool, ignore_errors=True)
        return f"the rest is uploaded to {place}; {spool} is removed"
    address = Address.parse(place)
    sent = push(spool, address, session or new_session(), token)
    return f"{sent} record{'' if sent == 1 else 's'} sent to {address}; {spool} is removed"
