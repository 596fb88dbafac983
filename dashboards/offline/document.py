"""The file itself: scripts and styles of the pages, the packed answers, and a frame around them.

Nothing from a trace is ever part of the markup: names and labels travel inside compressed and base64-encoded groups,
which cannot contain a tag, and the title is escaped. The content security policy of the file names every script by its
hash and allows no request at all.
"""

from __future__ import annotations

import hashlib
import html
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from memviz.dashboards.fieldview import Values
from memviz.dashboards.offline.answers import Pack, collect
from memviz.dashboards.offline.held import HeldRecord
from memviz.dashboards.source import ArrayCache
from memviz.errors import ExportError
from memviz.trace.reader import Trace

LIMIT = 24 * 2**20
"""Bytes of a file, unless told otherwise."""

ROOM = 16 * 2**10
"""Bytes set aside for the title, the names of groups and the list of what was left out."""

HELD_BYTES = 64 * 2**20
"""Bytes of values that are kept while a file is made."""

ASSETS = Path(__file__).parents[1] / "assets"
OWN = Path(__file__).parent / "scripts"

FOLDERS = ("base", "lineage", "scope")
"""Folders of assets that a file holds, in the order in which a page loads them."""

THEME = "Switch between light and dark"

PAGES = (("scope", "Scope"), ("lineage", "Lineage"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page opens: times, slots and heads as on the Scope page; `view` is "scope" or "lineage"."""

    memory: str | None = None
    time: int | None = None
    slot: int | None = None
    head: int | None = None
    view: str = "scope"

    def hash(self, run: str, step: int | None) -> str:
        """The location hash; without a step it follows the newest record."""
        named = {"memory": self.memory, "t": self.time, "slot": self.slot, "head": self.head}
        query: dict[str, object] = {} if step is None else {"step": step}
        query |= {name: given for name, given in named.items() if given is not None}
        if self.view != "scope":
            query["view"] = self.view
        return f"#/run/{quote(run, safe='')}?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class Document:
    """A file.

    Attributes:
        text: the HTML.
        left_out: what did not fit or cannot be told, in words.
    """

    text: str
    left_out: tuple[str, ...]


def record_document(
    trace: Trace,
    values: Values,
    item: int = 0,
    place: Place | None = None,
    *,
    limit: int = LIMIT,
    embedded: bool = False,
    say: Callable[[str], None] = lambda what: None,
) -> Document:
    """One record as one HTML file that scrubs and shows lineage without a server.

    Args:
        trace: the run.
        values: the record.
        item: index along the batch axis; the file holds only this item.
        place: where it opens.
        limit: bytes that the file may have.
        embedded: for a frame within another page: without the name of memviz in the header.
        say: is told what is packed next, since a long record takes a while.

    Raises:
        ExportError: not even the panels fit.
    """
    place = place or Place()
    # Base64 makes four bytes of three.
    frame = len(_page("", {}, {}, embedded).encode()) + ROOM
    pack = Pack(max(0, limit - frame) * 3 // 4, say)
    held = Values(HeldRecord(values.record), ("offline", values.record.id), ArrayCache(HELD_BYTES))
    collect(pack, trace, held, item, place.memory)
    if not any(name.startswith("frame|") for name in pack.groups):
        raise ExportError(
            f"the record does not fit into {limit / 2**20:.0f} MiB ({'; '.join(pack.left_out[:3])}); raise --limit, or "
            "export one panel, or npz"
        )
    left_out = tuple(dict.fromkeys(pack.left_out))
    record = values.record
    start = {
        "run": trace.name,
        "hash": place.hash(trace.name, record.step),
        "leftOut": list(left_out[:100]),
        "item": int(record.batch[item]) if item < len(record.batch) else item,
        "bytes": pack.size,
    }
    title = f"{trace.name}, step {record.step}: memviz"
    return Document(_page(title, start, pack.groups, embedded), left_out)


# The pages wait until their places are there, as they do for Dash; so the scripts come before them, and the last place,
# that of the start page, says that all are there.
def _page(title: str, start: Mapping[str, object], groups: Mapping[str, bytes], embedded: bool) -> str:
    scripts = [_early(), *(path.read_text("utf-8") for path in _scripts())]
    styles = "\n".join(path.read_text("utf-8") for path in _styles())
    for text in (*scripts, styles):
        if "</script" in text.lower() or "</style" in text.lower():
            raise ExportError("a script or style of memviz holds a closing tag and cannot be put into a page")
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = "\n".join(
        f'<script type="text/plain" data-group="{html.escape(name, quote=True)}">{b64encode(raw).decode()}</script>'
        for name, raw in groups.items()
    )
    begin = b64encode(json.dumps(start).encode()).decode()
    logo = b64encode((ASSETS / "logo.svg").read_bytes()).decode()
    links = "".join(
        f'<a class="nav-link" href="#/{name}" data-page="{name}" data-run="1">{words}</a>' for name, words in PAGES
    )
    mains = "".join(
        f'<main id="{name}-page" class="page" data-title="{words}" hidden><div id="{name}-root"></div></main>'
        for name, words in PAGES
    )
    body = "\n".join(f"<script>{text}</script>" for text in scripts[1:])
    return f"""<!DOCTYPE html>
<html lang="en"{' data-embedded="1"' if embedded else ""}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="memviz">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:image/svg+xml;base64,{logo}">
<script>{scripts[0]}</script>
<style>{styles}</style>
</head>
<body>
<script type="text/plain" id="start">{begin}</script>
{data}
{body}
<div id="memviz-shell" data-root="this file">
<header class="hdr">
<span class="logo"><img src="data:image/svg+xml;base64,{logo}" alt="" width="20" height="20">memviz</span>
<nav class="nav" aria-label="Pages">{links}</nav>
<span class="rule"></span>
<nav id="crumbs" class="crumbs" aria-label="Selection"></nav>
<button id="about-file" class="btn" type="button">About this file</button>
<button id="command-button" class="btn command" title="Every action and field">Command<kbd>Ctrl K</kbd></button>
<button id="theme-toggle" class="btn ic" title="{THEME}" aria-label="{THEME}"><span class="icon-theme"></span></button>
<button id="help-button" class="btn ic" title="Keys" aria-label="Keys">?</button>
</header>
<div id="announcer" class="sr-only" aria-live="polite"></div>
{mains}
<main id="runs-page" class="page" data-title="File" hidden><div class="of-start"></div></main>
</div>
</body>
</html>
"""


def _early() -> str:
    from memviz.dashboards.app import EARLY_THEME

    return EARLY_THEME


def _scripts() -> list[Path]:
    """The embedded source first, then the shell, then the folders as a page loads them."""
    folders = [path for folder in FOLDERS for path in sorted((ASSETS / folder).glob("*.js"))]
    return [OWN / "source.js", ASSETS / "shell.js", *folders, OWN / "about.js"]


def _styles() -> list[Path]:
    folders = [path for folder in FOLDERS for path in sorted((ASSETS / folder).glob("*.css"))]
    return [ASSETS / "theme.css", ASSETS / "shell.css", *folders, OWN / "offline.css"]
