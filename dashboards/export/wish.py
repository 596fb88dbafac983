"""What somebody wants to take along, and what they get."""

from __future__ import annotations

import re
from dataclasses import dataclass

from memviz.errors import ExportError, UnknownNameError

FIGURES = ("ntm", "dnc", "dmn", "page")
"""Figures by name; beside them `panel:FIELD`."""

FORMATS = ("png", "svg", "pdf", "csv", "npz", "html")

MIMETYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "npz": "application/zip",
    "html": "text/html",
}

PANEL = "panel:"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to export.

    Attributes:
        figure: one of `FIGURES`, or `panel:FIELD` with a full or bare name.
        form: one of `FORMATS`.
        item: position among the recorded items.
        memory: name of the memory; None for the first one that has what the figure needs.
        head: of a panel, the head, counted over all head axes; None for all.
        time: to mark, of a matrix, or to open a page at; of csv and npz the only time; None for none, or all. A
            negative one counts from the end.
        slot: the slot at which a page opens.
        limit: bytes that a self-contained page may have; None for the usual limit.

    Raises:
        UnknownNameError: no such figure or format.
        ExportError: `panel:` names no field.
    """

    figure: str
    form: str
    item: int = 0
    memory: str | None = None
    head: int | None = None
    time: int | None = None
    slot: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise UnknownNameError("format", self.form, FORMATS)
        if self.figure == PANEL:
            raise ExportError("panel: names no field; expected a field, as in panel:read_weights")
        if not self.figure.startswith(PANEL) and self.figure not in FIGURES:
            raise UnknownNameError("figure", self.figure, [*FIGURES, "panel:FIELD"])

    @property
    def field(self) -> str | None:
        """The field of a panel; None for other figures."""
        return self.figure.removeprefix(PANEL) if self.figure.startswith(PANEL) else None


@dataclass(frozen=True, slots=True)
class Download:
    """A file.

    Attributes:
        data: its bytes.
        mimetype: what it is.
        name: what to call it.
        left_out: what is not in it, in words.
    """

    data: bytes
    mimetype: str
    name: str
    left_out: tuple[str, ...] = ()


def file_name(run: str, step: int, figure: str, form: str) -> str:
    """A file name of harmless characters: copy-step280-ntm.png."""
    words = f"{run}-step{step}-{figure.removeprefix(PANEL)}"
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', words).strip('.-')[:120] or 'memviz'}.{form}"
