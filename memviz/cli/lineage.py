"""`memviz lineage`: where a read came from, what became of a write, what happened to a slot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import click

from memviz.cli.common import record_at, say_errors


@click.command()
@click.argument("path", metavar="PATH[@STEP]")
@click.option("--time", type=int, help="Of the read at this time; negative counts from the end.")
@click.option("--head", type=int, default=0, show_default=True, help="Of this read head, or with --write write head.")
@click.option("--write", type=int, help="What became of the write at this time; -1 for the initial memory.")
@click.option("--slot", type=int, help="What happened to this slot; with --time, why it holds what it holds.")
@click.option("--word", type=int, help="With --slot: only this cell of it.")
@click.option("--batch", type=int, default=0, show_default=True, help="Position among the recorded batch items.")
@click.option("--memory", help="Name of the memory, where the record has several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@say_errors
def lineage(
    path: str,
    time: int | None,
    head: int,
    write: int | None,
    slot: int | None,
    word: int | None,
    batch: int,
    memory: str | None,
    as_json: bool,
) -> None:
    """Say which writes a read is made of, exactly, with the addressing frozen.

    PATH is a trace, for its last record, or PATH@STEP. Without --time, --write or --slot: every read in a line.

    \b
    Example: memviz lineage runs/copy --time 13 --head 0
             memviz lineage runs/copy@500
             memviz lineage runs/copy --write 4
             memviz lineage runs/copy --slot 3 --word 2
    """
    if write is not None and (time is not None or slot is not None):
        raise click.UsageError("--write follows one write forward and goes with neither --time nor --slot")
    if word is not None and (slot is None or time is not None):
        raise click.UsageError("--word is a cell of the slot whose history --slot asks for")

    import memviz
    from memviz.analysis.lineage import answers, explain_slot
    from memviz.analysis.lineage.history import destruction, slot_history
    from memviz.analysis.lineage.table import lineage_table

    record = record_at(path)
    lines: Iterable[str]
    facts: Mapping[str, object]
    if write is not None:
        lost = destruction(record, write, head, batch=batch, memory=memory)
        table = lineage_table(record, memory, batch)
        lines, facts = answers.write_lines(lost, table), answers.write_json(lost, table)
    elif time is not None:
        found = (
            memviz.lineage(record, time, head, batch, memory)
            if slot is None
            else explain_slot(record, time, slot, batch, memory)
        )
        lines, facts = answers.read_lines(found), answers.read_json(found)
    elif slot is not None:
        events = slot_history(record, slot, word, batch=batch, memory=memory)
        lines = [event.text() for event in events] or ["nothing happened to it"]
        facts = {"slot": slot, "word": word, "events": [answers.event_json(event) for event in events]}
    else:
        table = lineage_table(record, memory, batch)
        lines, facts = answers.table_lines(table), answers.table_json(table)
    click.echo(json.dumps(facts, allow_nan=False) if as_json else "\n".join(lines))
