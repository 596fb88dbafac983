"""The Scope page as a test reads and drives it, and traces beside the synthetic ones."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter


class Scope:
    """The Scope page of one browser page."""

    def __init__(self, page):
        self.page = page

    def open(self, url, run, query=""):
        """Go to a run and wait until its record is drawn."""
        self.page.goto(f"{url}#/run/{run}{'?' + query if query else ''}")
        self.drawn()
        return self

    def drawn(self, **expected):
        """Wait until the page shows a record, and the given record, step, time, slot, head or memory."""
        self.page.wait_for_function(
            """wanted => { const root = document.querySelector('#scope-root');
                return root && root.dataset.state === 'ready'
                    && Object.entries(wanted).every(([key, value]) => root.dataset[key] === value); }""",
            arg={key: str(value) for key, value in expected.items()},
        )

    def until(self, expression):
        """Wait until a JavaScript expression is true."""
        # The page forbids eval; a function needs none.
        self.page.wait_for_function(f"() => Boolean({expression})")

    @property
    def shows(self):
        """What the page says it shows: run, record, step, time, slot, head, memory."""
        return self.page.evaluate("({...document.querySelector('#scope-root').dataset})")

    def panel(self, field, head=None):
        """The panel of a field and head."""
        which = "" if head is None else f"[data-head='{head}']"
        return self.page.locator(f"#scope-root .sc-panel[data-field='{field}']{which}")

    def pixel(self, field, column, row, head=None):
        """Colour in the middle of a cell, as painted: (red, green, blue)."""
        return tuple(
            self.panel(field, head).evaluate(
                """(node, [column, row]) => {
                    const plot = node.querySelector('.sc-plot'), canvas = plot.querySelector('canvas');
                    const ratio = canvas.width / canvas.clientWidth;
                    const x = (column + 0.5) * plot.dataset.cellWidth, y = (row + 0.5) * plot.dataset.cellHeight;
                    // A copy is read: reading the canvas itself again and again would earn a warning.
                    const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
                    copy.drawImage(canvas, -Math.floor(x * ratio), -Math.floor(y * ratio));
                    return [...copy.getImageData(0, 0, 1, 1).data.slice(0, 3)];
                }""",
                [column, row],
            )
        )

    def plot(self, field, column, row, head=None):
        """The plot of a panel, scrolled into view, and the middle of a cell in it."""
        plot = self.panel(field, head).locator(".sc-plot")
        plot.scroll_into_view_if_needed()
        width, height = (float(plot.get_attribute(f"data-cell-{name}")) for name in ("width", "height"))
        return plot, {"x": (column + 0.5) * width, "y": (row + 0.5) * height}

    def click(self, field, column, row, head=None):
        """Click a cell."""
        plot, position = self.plot(field, column, row, head)
        plot.click(position=position)

    def hover(self, field, column, row, head=None):
        """Rest on a cell until its exact value is shown; the lines of the tooltip."""
        plot, position = self.plot(field, column, row, head)
        plot.hover(position=position)
        tip = self.page.locator(".sc-tip[data-exact=true]")
        tip.wait_for()
        return tip.inner_text().replace("\N{MINUS SIGN}", "-").splitlines()

    def columns(self):
        """The column that the crosshair of every visible panel stands on, from where it is drawn."""
        return self.page.evaluate(
            """() => {
                const left = node => node.getBoundingClientRect().left;
                const panels = [...document.querySelectorAll('#scope-root .sc-panel')].filter(node => node.panel?.seen);
                return panels.map(panel => {
                    const plot = panel.querySelector('.sc-plot');
                    return (left(panel.querySelector('.sc-col')) - left(plot)) / plot.dataset.cellWidth;
                });
            }"""
        )

    def readout(self, field, head=None):
        """The exact value beside a panel at the crosshair, as text."""
        value = self.panel(field, head).locator(".sc-value[data-exact=true]")
        value.wait_for()
        return value.inner_text().replace("\N{MINUS SIGN}", "-")


# Both ask for `serve` first, so that pages close before the servers they poll.
@pytest.fixture
def scope(serve, page):
    """The Scope page in the light theme, 1440 x 960."""
    return Scope(page)


@pytest.fixture
def scope_in(serve, new_page):
    """Make a Scope page with options of a browser context: `scope_in(color_scheme="dark")`."""
    return lambda **options: Scope(new_page(**options))


@pytest.fixture
def forgive(page):
    """Expect faults that match a regular expression: `forgive("404")`."""
    known = []
    yield known.append
    page.faults[:] = [fault for fault in page.faults if not any(re.search(one, fault) for one in known)]


@pytest.fixture(scope="session")
def write_memories():
    """Write a closed trace: `memories` maps a name to (law, {field: (array, axes, kind)})."""

    def write(path, memories, *, records=3, every=10):
        header = TraceHeader(memviz_version="0", created=time.time(), run=path.name, model={"class": "Made"})
        writer = TraceWriter.create(path, header)
        for name, (law, fields) in memories.items():
            schemas = {
                field: FieldSchema(field, tuple(axes.split()), str(array.dtype), kind)
                for field, (array, axes, kind) in fields.items()
            }
            writer.declare(MemorySchema(name, law, schemas))
        stored = {
            f"{name}/{field}": np.ascontiguousarray(array)
            for name, (_, fields) in memories.items()
            for field, (array, _, _) in fields.items()
        }
        for index in range(records):
            writer.append(RecordData(step=index * every, fields=stored, wall=time.time()))
            writer.log(index * every, {"loss": 1.0 / (index + 1)})
        writer.close()
        return path

    return write
