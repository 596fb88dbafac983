"""Scripts and style sheets that a page of another package brings: served below /pages/<name>/, loaded after our own.

The page names a folder (`Page.assets`). Its `.css` and `.js` files are loaded in alphabetical order of their path, as
plain scripts, after those of the dashboard, so that everything on `window.memviz` is there; other files in it, such as
pictures, can be referred to. The content security policy is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, send_from_directory

from memviz.dashboards.page import Page

PREFIX = "/pages/"


@dataclass(frozen=True, slots=True)
class Tags:
    """What the page's HTML needs to load the assets of all pages.

    Attributes:
        styles: link elements, for the head.
        scripts: script elements, for the end of the body.
    """

    styles: str
    scripts: str


def tags(pages: Sequence[Page]) -> Tags:
    """The elements that load the assets of these pages; an address changes when its file does."""
    styles, scripts = [], []
    for page in pages:
        for path in _files(page.assets):
            assert page.assets is not None
            inside = quote(path.relative_to(page.assets).as_posix())
            address = escape(f"{PREFIX}{quote(page.name, safe='')}/{inside}?m={path.stat().st_mtime:.6f}")
            if path.suffix == ".css":
                styles.append(f'<link rel="stylesheet" href="{address}">')
            else:
                scripts.append(f'<script src="{address}"></script>')
    return Tags("\n".join(styles), "\n".join(scripts))


def serve(server: Flask, pages: Sequence[Page]) -> None:
    """Add the route that sends the files; no address leads outside the folders."""
    folders = {page.name: page.assets for page in pages if page.assets is not None}

    @server.get(f"{PREFIX}<name>/<path:file>")
    def page_asset(name: str, file: str) -> Response | tuple[str, int]:
        if name not in folders:
            return "there is no such page", 404
        return send_from_directory(folders[name], file)


def _files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix in (".css", ".js") and path.is_file())
