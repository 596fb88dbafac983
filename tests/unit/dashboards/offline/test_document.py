"""The file of a record: what is in it, how large it may get, and that nothing from a trace is markup."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from base64 import b64decode, b64encode

import numpy as np
import pytest

import memviz
from memviz.dashboards.answers import ANSWERS
from memviz.dashboards.fieldview import Values
from memviz.dashboards.offline import answers
from memviz.dashboards.offline.answers import Pack
from memviz.dashboards.offline.document import Place, record_document
from memviz.dashboards.offline.held import HeldRecord
from memviz.dashboards.params import Params
from memviz.dashboards.source import ArrayCache
from memviz.errors import ExportError, MemvizError
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    run = write_dnc_run(tmp_path_factory.mktemp("offline") / "copy", steps=2, times=9, slots=8, words=6, batch=2)
    return memviz.open(run)


def values_of(record):
    return Values(record, (record.id,), ArrayCache())


@pytest.fixture(scope="module")
def document(trace):
    return record_document(trace, values_of(trace[1]), 1, Place("memory", 5, 2, 1))


def group(text, name):
    packed = re.search(rf'<script type="text/plain" data-group="{re.escape(name)}">([^<]*)</script>', text)
    return gzip.decompress(b64decode(packed[1]))


def ask(values, what, **query):
    answer = ANSWERS[what](values, Params({key: [str(given)] for key, given in query.items()}), 0)
    return json.loads(json.dumps(answer))


def test_answers_are_those_of_the_routes(document, trace):
    values = values_of(trace[1])
    lineage = json.loads(group(document.text, "lineage|memory"))
    assert set(lineage) == {f"{time},{head}" for time in range(9) for head in range(2)}
    expected = ask(values, "lineage", item=1, memory="memory", time=6, head=1)
    assert {**lineage["6,1"], "by_slot": None} == {**expected, "by_slot": None}
    np.testing.assert_allclose(lineage["6,1"]["by_slot"]["rows"], expected["by_slot"]["rows"], atol=5e-4)
    assert lineage["6,1"]["sentence"] == memviz.lineage(trace[1], 6, 1, 1).text()
    slots = json.loads(group(document.text, "slot|memory"))
    assert slots["3"] == ask(values, "slot", item=1, memory="memory", slot=3)
    events = json.loads(group(document.text, "events|memory"))
    assert events["3"] == ask(values, "events", item=1, memory="memory", slot=3)


def test_exact_values_are_exact(document, trace):
    raw = group(document.text, "exact|memory/read_weights")
    head, _, data = raw.partition(b"\n")
    about = json.loads(head)
    assert about["axes"] == ["time", "read_head", "slot"]
    assert (len(head) + 1) % 8 == 0
    array = np.frombuffer(data, "<f4").reshape(about["shape"])
    np.testing.assert_array_equal(array, trace[1]["read_weights"][:, 1])


def test_everything_of_a_small_record_is_in_it(document):
    assert document.left_out == ()


def test_the_policy_names_every_script_and_allows_no_request(document):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', document.text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", document.text, re.DOTALL)
    assert len(scripts) > 20
    for script in scripts:
        assert f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert not re.search(r'(?:src|href)="(?!data:|#)', document.text)


def test_what_does_not_fit_is_left_out_and_said(trace):
    full = record_document(trace, values_of(trace[1]))
    limit = len(full.text) - 24 * 1024
    small = record_document(trace, values_of(trace[1]), limit=limit)
    assert len(small.text) <= limit
    assert small.left_out
    assert all("too large" in text for text in small.left_out)


def test_what_takes_too_long_is_left_out_and_said(trace, monkeypatch):
    monkeypatch.setattr(answers, "MAX_WORK", 10)
    document = record_document(trace, values_of(trace[1]))
    assert "lineage (they take too long to work out ahead)" in document.left_out
    assert 'data-group="lineage|memory"' not in document.text
    assert 'data-group="frame|memory|linear"' in document.text


def test_a_limit_that_leaves_nothing_is_an_error(trace):
    with pytest.raises(ExportError, match="--limit"):
        record_document(trace, values_of(trace[1]), limit=1000)


def test_names_of_a_trace_are_never_markup(tmp_path):
    name = "<img src=x onerror=alert(1)>"
    run = write_dnc_run(tmp_path / name, steps=1, times=9, slots=8, words=6)
    trace = memviz.open(run)
    text = record_document(trace, values_of(trace[0])).text
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_pack_says_why_something_cannot_be_told():
    pack, said = Pack(1000), []
    pack.say = said.append

    def fails():
        raise MemvizError("no links")

    pack.add("a", "the links", fails)
    pack.add("b", "noise", lambda: np.random.default_rng(0).bytes(4000))
    pack.add("c", "nothing", lambda: None)
    pack.add("d", "zeros", lambda: bytes(4000))
    assert list(pack.groups) == ["d"]
    assert pack.left_out == ["the links (no links)", "noise (too large)"]
    assert said == ["the links", "noise", "nothing", "zeros"]


def test_a_held_record_gives_the_same_values_to_change_freely(trace):
    held = HeldRecord(trace[1])
    first = held["usage"]
    first[:] = -1
    np.testing.assert_array_equal(held["memory/usage"], trace[1]["usage"])
    np.testing.assert_array_equal(held.read("usage", 3), trace[1]["usage"][3])
