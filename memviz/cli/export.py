"""`memviz export`: a figure, a panel or a whole record as a file, without a browser window."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from memviz.cli.common import note, path_and_step, say_errors

MIB = 2**20


@click.command()
@click.argument("path", metavar="PATH[@STEP]")
@click.option("--figure", default="page", show_default=True, metavar="NAME", help="ntm, dnc, dmn, page or panel:FIELD.")
@click.option("--format", "form", metavar="NAME", help="png, svg, pdf, csv, npz or html  [default: that of FILE]")
@click.option("-o", "--out", metavar="FILE", help="Where to write it; - for standard output  [default: named after it]")
@click.option("--item", type=int, default=0, show_default=True, help="Position among the recorded batch items.")
@click.option("--memory", help="Name of the memory  [default: the first that fits the figure]")
@click.option("--head", type=int, help="Of a panel: the head, counted over all head axes  [default: all]")
@click.option("--time", type=int, help="The time to mark, of a matrix, or to open at; negative counts from the end.")
@click.option("--slot", type=int, help="The slot at which an HTML page opens.")
@click.option("--limit", type=click.FloatRange(1), help="MiB that an HTML page may have  [default: 24]")
@say_errors
def export(
    path: str,
    figure: str,
    form: str | None,
    out: str | None,
    item: int,
    memory: str | None,
    head: int | None,
    time: int | None,
    slot: int | None,
    limit: float | None,
) -> None:
    """Write a figure, a panel or a whole record to a file, without a browser.

    PATH is a trace, for its last record, or PATH@STEP. The figure `page` as html is the record itself: one file that
    scrubs and shows lineage without a server.

    \b
    Example: memviz export runs/copy -o copy.html
             memviz export runs/copy@280 --figure dnc -o dnc.svg
             memviz export runs/copy --figure panel:read_weights --head 0 -o reads.csv
             memviz export runs/copy --figure panel:memory --time 9 --format npz
    """
    import memviz
    from memviz.dashboards.export import Wish, make
    from memviz.dashboards.fieldview import Values
    from memviz.dashboards.source import ArrayCache

    wish = Wish(
        figure,
        form or _format_of(out, figure),
        item=item,
        memory=memory,
        head=head,
        time=time,
        slot=slot,
        limit=None if limit is None else int(limit * MIB),
    )
    place, step = path_and_step(path)
    trace = memviz.open(place)
    record = trace[-1] if step is None else trace.at(step)
    values = Values(record, (record.id,), ArrayCache())
    made = make(trace, values, wish, _progress)
    _progress("")
    if out == "-":
        sys.stdout.buffer.write(made.data)
        sys.stdout.buffer.flush()
    else:
        target = Path(out) if out is not None else Path(made.name)
        _write(target, made.data)
        note(f"{target}: {_size(len(made.data))}, step {record.step} of {trace.name}")
    for text in made.left_out:
        note(f"not in it: {text}")


def _progress(what: str) -> None:
    """What is being made, on one line of a terminal; nothing where nobody watches."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what}{' …' if what else ''}", err=True, nl=False)


def _format_of(out: str | None, figure: str) -> str:
    """The format that the name of the file asks for, otherwise the usual one of the figure."""
    suffix = Path(out).suffix.lstrip(".").lower() if out else ""
    return {"htm": "html"}.get(suffix, suffix) or ("html" if figure == "page" else "png")


def _write(target: Path, data: bytes) -> None:
    """The whole file or nothing of it."""
    part = target.with_name(f"{target.name}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise click.ClickException(
            f"{target} cannot be written: {error.strerror or error}. Give another place with -o FILE."
        ) from error


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{max(1, round(count / 1024))} KiB"
