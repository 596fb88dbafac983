"""A refresh while a writer acts between any two of its looks at the disk."""

from __future__ import annotations

import pytest

from memviz.trace import contents
from memviz.trace.reader import open_trace


class Interleaved:
    """Lets a writer act right before or after the n-th look at the disk of a refresh."""

    def __init__(self, monkeypatch, at, before, action):
        self.looks = 0
        self.action = action
        for name in ("listing", "read_live", "read_segment"):
            real = getattr(contents, name)

            def look(*arguments, real=real):
                now = self.looks == at
                self.looks += 1
                if now and before:
                    self._act()
                result = real(*arguments)
                if now and not before:
                    self._act()
                return result

            monkeypatch.setattr(contents, name, look)

    def _act(self):
        action, self.action = self.action, lambda: None
        action()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("known", [0, 2, 4], ids=["new reader", "old reader", "up to date reader"])
@pytest.mark.parametrize("what", ["seal", "append", "append and seal", "seal and append"])
def test_no_record_is_missed_or_doubled(tmp_path, make, monkeypatch, at, before, known, what):
    writer = make.writer(tmp_path / "run")
    for i in range(known):
        writer.append(make.sample(i))
    trace = open_trace(writer.path) if known else None
    for i in range(known, 4):
        writer.append(make.sample(i))

    def act():
        for word in what.split(" and "):
            writer.seal() if word == "seal" else writer.append(make.sample(writer.records))

    disk = Interleaved(monkeypatch, at, before, act)
    if trace is None:
        trace = open_trace(writer.path)
    else:
        trace.refresh()
    # What was committed before the refresh began is there, in order and once.
    assert trace.ids.tolist() in (list(range(4)), list(range(5)))
    disk.action = lambda: None
    records = list(trace)
    trace.refresh()
    assert trace.ids.tolist() == list(range(writer.records))
    for record in [*records, *trace]:
        assert record["read_weights"].tobytes() == make.sample(record.id).fields["memory/read_weights"].tobytes()
        assert record.labels == {"number": record.id}
    assert not trace.notes
    writer.close()
