"""Every error that memviz raises on purpose.

    MemvizError
    ├── TraceError (OSError)              something about a trace on disk
    │   ├── TraceNotFound                 no trace at this path
    │   ├── TraceCorrupt                  a file of the trace is not what it should be
    │   ├── TraceVersionError             written by a newer memviz
    │   ├── TraceLocked                   another writer holds this trace
    │   ├── TraceFull                     a record would take the trace beyond its size limit
    │   ├── SpoolFull                     as much waits to be sent to another machine as may wait
    │   └── TraceClosed                   written to after close
    ├── RecordError (IndexError)          a record that a trace does not have
    ├── FieldError (KeyError)             a field that a record does not have, or that is ambiguous
    ├── PlaceError (IndexError)           a time, head, slot or batch item that a record does not have
    ├── SchemaError (ValueError)          an array does not fit what its field declares
    ├── RecorderError (RuntimeError)      a recorder cannot do what was asked
    │   ├── NoAdapterError                nothing in the model is known to memviz and nothing taps
    │   └── MissingFieldError             a promised field never arrived
    ├── OptionError (ValueError)          an option of a model or a task that it cannot have
    ├── QueryError (ValueError)           a query that is not in the language, or asks for what no record has
    ├── UnknownNameError (LookupError)    an unknown demo, adapter, page, with the nearest known name
    ├── CheckpointError (ValueError)      a checkpoint is missing, damaged, or of another model
    ├── RemoteError (RuntimeError)        a trace cannot be sent to another machine
    │   └── RemoteRefused                 the other machine answers that it will not take it
    ├── ClusterError (RuntimeError)       a Dask cluster cannot be reached, or failed
    ├── ExportError (RuntimeError)        something cannot be exported in the format asked for
    └── ServerError (RuntimeError)        the dashboard server cannot start

Each message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MemvizError(Exception):
    """Base of all errors that memviz raises on purpose."""


class TraceError(MemvizError, OSError):
    """Something about a trace on disk."""


class TraceNotFound(TraceError):
    """There is no trace at this path."""


class TraceCorrupt(TraceError):
    """A file of the trace is not what it should be, or claims more than the caps allow."""


class TraceVersionError(TraceError):
    """The trace was written in a format that this memviz does not know."""


class TraceLocked(TraceError):
    """Another live writer holds this trace."""


class TraceFull(TraceError):
    """A record would take the trace beyond its size limit."""


class SpoolFull(TraceError):
    """As much waits to be sent to another machine as may wait; a later record may fit again."""


class TraceClosed(TraceError):
    """A closed writer was asked to write."""


class RecordError(MemvizError, IndexError):
    """A trace has no such record."""


class FieldError(MemvizError, KeyError):
    """A record has no such field, or several memories share the bare name."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument, which would put quotes around a sentence.
        return str(self.args[0]) if self.args else ""


class PlaceError(MemvizError, IndexError):
    """A record has no such time, head, slot, word or batch item."""


class SchemaError(MemvizError, ValueError):
    """An array does not fit what its field declares."""


class RecorderError(MemvizError, RuntimeError):
    """A recorder cannot do what was asked."""


class NoAdapterError(RecorderError):
    """No adapter matches any module of the model, and no tap was seen."""


class MissingFieldError(RecorderError):
    """A field that was promised or asked for never arrived."""


class OptionError(MemvizError, ValueError):
    """A model or a task was given an option that it cannot have."""


class ExportError(MemvizError, RuntimeError):
    """Something cannot be exported in the format asked for."""


class UnknownNameError(MemvizError, LookupError):
    """A name that memviz does not know; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"there is no {kind} named {name!r}.{hint} Known: {', '.join(names) or 'none'}.")


class QueryError(MemvizError, ValueError):
    """A query cannot be read, or asks for what no record has; the message shows where in it.

    Args:
        text: the query.
        at: position in it, in characters.
        what: what is wrong there.
    """

    def __init__(self, text: str, at: int, what: str) -> None:
        self.text, self.at, self.what = text, at, what
        # A long query is shown around the place.
        start = max(0, at - 60)
        shown = text[start : at + 40].replace("\n", " ")
        super().__init__(f"{what}, at character {at + 1}:\n  {shown}\n  {' ' * (at - start)}^")

    def __reduce__(self) -> tuple[type[QueryError], tuple[str, int, str]]:
        """Built from its three arguments when it comes from another process."""
        return type(self), (self.text, self.at, self.what)


class CheckpointError(MemvizError, ValueError):
    """A checkpoint of a demo is missing, damaged, or does not fit the model."""


class RemoteError(MemvizError, RuntimeError):
    """A trace cannot be sent to another machine now, or the address is none."""


class RemoteRefused(RemoteError):
    """The other machine answers that it will not take what was sent; `status` is the one of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ClusterError(MemvizError, RuntimeError):
    """A Dask cluster cannot be reached, cannot do what is asked, or was lost."""


class ServerError(MemvizError, RuntimeError):
    """The dashboard server cannot start."""
