"""A trace in an object store, or wherever fsspec can write: sealed segments are uploaded as they are made.

A segment is a zarr group, so what is there opens in xarray without memviz. The object that makes it one (`zarr.json` at
its root) goes last: a segment that is there is whole.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memviz.errors import RemoteError
from memviz.trace import layout
from memviz.trace.files import listing, tree_bytes
from memviz.trace.remote.spool import SPOOL_LIMIT, SpoolWriter, new_session, spool_folder
from memviz.trace.schema import TraceHeader
from memviz.trace.segments import ZARR_JSON
from memviz.trace.writer import TraceWriter

PATIENCE = (1.0, 60.0)
"""Seconds before the first and the last new attempt after a failure; doubled in between."""

CLOSE_SECONDS = 60.0
"""Seconds that the end of a run waits for what is not uploaded yet."""

_MAX_COPIES = 1000
_log = logging.getLogger("memviz.remote")


class MirrorWriter(SpoolWriter):
    """A spool that packs its records into segments, which are what is uploaded."""

    def forget(self, nbytes: int) -> None:
        """Bytes that have been uploaded and removed here; called by the thread that uploads."""
        self._arrived.append(nbytes)

    def _seal_quietly(self) -> None:
        TraceWriter._seal_quietly(self)


class Uploader:
    """Uploads the segments of a spool as they come, and the rest at the end.

    Args:
        spool: folder of the trace.
        url: where it goes, such as "s3://bucket/runs/copy".
        forget: told how many bytes were uploaded and removed.
        say: told once when uploads fail, and when they work again.
    """

    def __init__(
        self,
        spool: Path,
        url: str,
        *,
        forget: Callable[[int], None] = lambda nbytes: None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.spool = spool
        self.url = url
        self.say = say or (lambda text: _log.warning("memviz: %s", text))
        self.arrived = False
        self._forget = forget
        self._store: tuple[Any, str] | None = None
        self._wake = threading.Event()
        self._finish = threading.Event()
        self._give_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memviz-upload", daemon=True)

    def start(self) -> None:
        """Begin to upload."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be a new segment."""
        self._wake.set()

    def finish(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Upload the rest, wait for it, and remove the spool; False when the time ran out, and the spool is kept."""
        self._finish.set()
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()  # closed before it began
        self._thread.join(timeout)
        if self.arrived:
            shutil.rmtree(self.spool, ignore_errors=True)
            return True
        self._give_up.set()
        self.say(f"the run did not reach {self.url} whole; the rest is kept, upload it with: memviz push {self.spool}")
        return False

    def upload(self, *, whole: bool) -> None:
        """Upload what is packed; with `whole`, live records and the lines too.

        Raises:
            RemoteError: the store refuses.
        """
        try:
            store, root = self._opened()
            new = False
            for name in listing(self.spool / layout.SEALED):
                if layout.parse_segment_name(name) is None:
                    continue
                segment = self.spool / layout.SEALED / name
                _put_tree(store, segment, f"{root}/{layout.SEALED}/{name}", last=ZARR_JSON)
                self._forget(tree_bytes(segment))
                shutil.rmtree(segment)
                new = True
            if whole:
                for name in listing(self.spool / layout.LIVE):
                    if layout.parse_live_name(name) is not None:
                        store.put_file(str(self.spool / layout.LIVE / name), f"{root}/{layout.LIVE}/{name}")
            if new or whole:
                for name in (layout.SCALARS, layout.EVENTS, layout.TRACE_JSON):
                    store.put_file(str(self.spool / name), f"{root}/{name}")
        except RemoteError:
            raise
        except Exception as error:  # each store has errors of its own
            self._store = None
            raise RemoteError(f"{self.url} cannot be written: {type(error).__name__}: {error}") from error

    def _opened(self) -> tuple[Any, str]:
        """The file system and the folder in it; beside a trace that is there already."""
        if self._store is None:
            store, root = open_store(self.url)
            if (self.spool / _PLACE).exists():
                root = (self.spool / _PLACE).read_text()
            else:
                root = _free(store, root.rstrip("/"))
                (self.spool / _PLACE).write_text(root)
            for folder in ("", layout.SEALED, layout.LIVE):
                store.makedirs(f"{root}/{folder}", exist_ok=True)
            self._store = store, root
        return self._store

    def _run(self) -> None:
        wait, down = PATIENCE[0], False
        while not self._give_up.is_set():
            last = self._finish.is_set()
            self._wake.clear()
            try:
                self.upload(whole=last)
            except (RemoteError, OSError) as error:
                if not down:
                    down = True
                    self.say(f"{error}. Segments wait in {self.spool} and are uploaded when that works again")
                self._give_up.wait(min(wait, 0.5) if last else wait)
                wait = min(2 * wait, PATIENCE[1])
                continue
            if last:
                self.arrived = True
                return
            if down:
                down = False
                self.say(f"{self.url} can be written again; nothing that was recorded is lost")
            wait = PATIENCE[0]
            if not self._finish.is_set():
                self._wake.wait()


_PLACE = "place.txt"
"""In a spool: the folder of the store that was chosen for it."""


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it.

    Raises:
        RemoteError: fsspec or the package for this kind of store is not installed, or it is no URL of a store.
    """
    try:
        import fsspec
    except ImportError:
        raise RemoteError(f"{url} needs fsspec; pip install 'memviz[remote]'") from None
    try:
        store, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise RemoteError(f"{url} cannot be opened: {error}") from None
    return store, root


def start_mirror(
    url: str, header: TraceHeader, *, limit: int, say: Callable[[str], None] | None = None
) -> MirrorWriter:
    """A writer whose segments are uploaded as they are sealed, once it may begin.

    Raises:
        RemoteError: the URL is of no store that can be opened here.
        OSError: the spool cannot be made.
    """
    open_store(url)
    rank = layout.rank_name(header.rank) if header.world_size > 1 else ""
    folder = spool_folder(f"{header.run}-{rank}".rstrip("-"), new_session())
    place = f"{url.rstrip('/')}/{rank}".rstrip("/")
    writer = MirrorWriter.start(folder, header, {"url": place, "session": ""}, min(limit, SPOOL_LIMIT), seal_every=256)
    assert isinstance(writer, MirrorWriter)
    uploader = Uploader(writer.path, place, forget=writer.forget, say=say)
    writer.on_begin, writer.on_change, writer.on_close = uploader.start, uploader.wake, uploader.finish
    return writer


def _free(store: Any, root: str) -> str:
    for copy in range(1, _MAX_COPIES):
        place = root if copy == 1 else f"{root}-{copy}"
        if not store.exists(f"{place}/{layout.TRACE_JSON}"):
            return place
    raise RemoteError(f"{root} and {_MAX_COPIES} places beside it hold traces; choose another name")


def _put_tree(store: Any, folder: Path, to: str, *, last: str) -> None:
    """Upload all files below a folder, the one named `last` at its root at the very end."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files.sort(key=lambda path: path == folder / last)
    for parent in sorted({path.parent for path in files}):
        store.makedirs(f"{to}/{parent.relative_to(folder).as_posix()}".rstrip("/."), exist_ok=True)
    for path in files:
        store.put_file(str(path), f"{to}/{path.relative_to(folder).as_posix()}")
