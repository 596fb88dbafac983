"""The routes against docs/api.md: what they answer, what they refuse, and what a browser may keep."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import memviz
from memviz.testing.synthetic import write_dnc_run

ROUTES = [
    "/api/v1/runs/copy",
    "/api/v1/runs/copy/records",
    "/api/v1/runs/copy/scalars?name=loss",
    "/api/v1/runs/copy/records/4",
    "/api/v1/runs/copy/records/4/frame",
    "/api/v1/runs/copy/records/4/matrices?field=memory/link_matrix",
    "/api/v1/runs/copy/records/4/cell?time=3&slot=2",
    "/api/v1/runs/copy/records/4/slot?slot=2",
    "/api/v1/runs/copy/records/4/walk?time=3&slot=2",
    "/api/v1/runs/copy/records/4/values?field=memory/usage",
]
OF_RECORDS = [route for route in ROUTES if "/records/" in route]


def test_health(served):
    assert served.client.json("/healthz") == {"status": "ok", "version": memviz.__version__, "runs": 3}


def test_the_list_of_runs(served):
    body = served.client.json("/api/v1/runs")
    assert body["root"] == str(served.root)
    assert {run["id"] for run in body["runs"]} == set(served.runs)
    copy = next(run for run in body["runs"] if run["id"] == "copy")
    assert (copy["records"], copy["step"], copy["state"], copy["loss_name"]) == (5, 80, "closed", "loss")
    assert 2 <= len(copy["spark"]) <= 120


def test_one_run_by_an_id_that_is_a_path(served):
    body = served.client.json("/api/v1/runs/sweep%2Fcopy-s1")
    assert (body["id"], body["records"], body["scalars"]) == ("sweep/copy-s1", 3, ["loss"])
    assert body["schema"]["memory"]["fields"]["link_matrix"]["axes"][-2:] == ["slot_to", "slot_from"]
    assert [event["kind"] for event in body["events"]] == ["opened", "closed"]
    assert body["notes"] == []


def test_records_from_an_index_on(served):
    body = served.client.json("/api/v1/runs/copy/records?from=3")
    assert (body["count"], body["from"], body["steps"]) == (5, 3, [60, 80])
    assert len(body["walls"]) == 2
    assert body["gaps"] == []
    assert served.client.json("/api/v1/runs/copy/records?from=9")["steps"] == []


def test_a_live_run_grows_and_its_revision_changes(tmp_path, new_client, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    with write_dnc_run(tmp_path / "live", steps=2, live=True) as run:
        client = new_client(tmp_path)
        before = client.json("/api/v1/runs/live/records?from=2")
        assert (before["steps"], before["state"]) == ([], "live")
        assert client.error("/api/v1/runs/live/records/2/frame", 404)["expected"] == "0 to 1"
        run.append()
        after = client.json("/api/v1/runs/live/records?from=2")
        assert after["steps"] == [40]
        assert after["revision"] != before["revision"]
        assert client.json("/api/v1/runs/live/records/2")["step"] == 40
    assert client.json("/api/v1/runs/live/records")["state"] == "closed"


def test_gaps_are_told(tmp_path, new_client):
    from memviz.trace.schema import Event

    with write_dnc_run(tmp_path / "copy", steps=2, live=True) as run:
        run._writer.event(Event("gap", "the queue was full", 1.0, 30, {"dropped": 3, "reason": "queue full"}))
    body = new_client(tmp_path).json("/api/v1/runs/copy/records")
    assert body["gaps"] == [{"step": 30, "dropped": 3, "reason": "queue full"}]
    assert body["dropped"] == 3


def test_scalars_in_columns(served):
    series = memviz.open(served.runs["copy"]).scalars["loss"]
    exact = served.client.json("/api/v1/runs/copy/scalars?name=loss")
    assert exact["steps"] == series.steps.tolist()
    np.testing.assert_allclose(exact["low"], series.values, rtol=1e-6)
    assert exact["low"] == exact["high"] == exact["last"]
    few = served.client.json("/api/v1/runs/copy/scalars?name=loss&px=7&from=20&to=60")
    inside = (series.steps >= 20) & (series.steps <= 60)
    assert (few["count"], len(few["steps"]), few["steps"][-1]) == (41, 7, 60)
    assert max(few["high"]) == pytest.approx(series.values[inside].max(), rel=1e-6)
    assert min(few["low"]) == pytest.approx(series.values[inside].min(), rel=1e-6)


def test_a_nan_in_a_curve_is_named(served):
    body = served.client.json("/api/v1/runs/nan/scalars?name=loss&px=4")
    assert body["low"][-1] == body["high"][-1] == body["last"][-1] == "NaN"


def test_one_record_lists_its_memories_and_fields(served):
    body = served.client.json("/api/v1/runs/copy/records/4")
    assert (body["index"], body["step"], body["batch"]) == (4, 80, [0])
    assert body["labels"]["phases"][0] == ["input", 0, 10]
    model, memory = body["memories"]
    assert (model["name"], memory["name"], memory["law"]) == ("model", "memory", "dnc")
    assert [memory[key] for key in ("times", "slots", "words", "read_heads", "write_heads")] == [21, 16, 16, 2, 1]
    assert 0 <= memory["replay_error"] < 1e-5
    fields = {field["name"]: field for field in memory["fields"]}
    link = fields["link_matrix"]
    assert (link["derived"], link["shape"], link["symbol"], link["low"], link["high"]) == (
        True,
        [21, 1, 1, 16, 16],
        "L",
        0,
        1,
    )
    assert not fields["write_weights"]["derived"]
    assert [field["name"] for field in memory["fields"]][:2] == ["write_weights", "read_weights"]


def test_a_frame_and_matrices_come_as_tiles(served):
    head, codes = served.client.tiles("/api/v1/runs/copy/records/4/frame?item=0&memory=memory&px=672&py=320")
    assert (head["index"], head["step"], head["times"]) == (4, 80, 21)
    assert codes["memory/write_weights:0"].max() == 248
    head, codes = served.client.tiles("/api/v1/runs/copy/records/4/matrices?field=memory/link_matrix&t0=3&t1=6&px=8")
    assert list(codes) == [f"memory/link_matrix:0@{t}" for t in (3, 4, 5)]
    assert codes["memory/link_matrix:0@3"].shape == (8, 8)
    assert (head["times"], head["field"]) == (21, "memory/link_matrix")
    _, codes = served.client.tiles("/api/v1/runs/copy/records/4/matrices?field=memory/memory&t0=19&t1=400")
    assert list(codes) == ["memory/memory@19", "memory/memory@20"]


@pytest.mark.parametrize("run", ["copy", "sweep%2Fcopy-s1"])
def test_a_cell_gives_exact_values(served, run):
    source = served.runs[run.replace("%2F", "/")]
    truth = source.arrays(2)
    body = served.client.json(f"/api/v1/runs/{run}/records/2/cell?time=7&slot=3")
    values = {entry["id"]: entry.get("value", entry.get("values")) for entry in body["values"]}
    assert values["memory/write_weights:0"] == pytest.approx(truth["write_weights"][7, 0, 0, 3], abs=1e-6)
    assert values["memory/read_weights:1"] == pytest.approx(truth["read_weights"][7, 0, 1, 3], abs=1e-6)
    assert values["memory/usage"] == pytest.approx(truth["usage"][7, 0, 3], abs=1e-6)
    np.testing.assert_allclose(values["memory/memory"], truth["memory"][7, 0, 3], atol=1e-5)
    np.testing.assert_allclose(values["memory/read_modes:0"], truth["read_modes"][7, 0, 0], atol=1e-6)
    np.testing.assert_allclose(values["model/input"], truth["input"][7, 0], atol=1e-6)
    assert values["memory/write_gate:0"] == pytest.approx(truth["write_gate"][7, 0, 0], abs=1e-6)
    without = served.client.json(f"/api/v1/runs/{run}/records/2/cell?time=7")["values"]
    with_slots = ("memory/memory", "memory/usage")
    assert {entry["id"] for entry in without} == {
        name for name in values if name not in with_slots and "_weights" not in name
    }


def test_the_life_of_a_slot(served):
    truth = served.runs["copy"].arrays(4)
    write = truth["write_weights"][:, 0, 0]
    slot = int(write[2].argmax())
    body = served.client.json(f"/api/v1/runs/copy/records/4/slot?slot={slot}")
    np.testing.assert_allclose(body["write"], [write[:, slot]], atol=1e-6)
    np.testing.assert_allclose(body["read"], truth["read_weights"][:, 0, :, slot].T, atol=1e-6)
    np.testing.assert_allclose(body["usage"], truth["usage"][:, 0, slot], atol=1e-6)
    np.testing.assert_allclose(body["allocation"], truth["allocation_weights"][:, 0, :, slot].T, atol=1e-5)
    np.testing.assert_allclose(body["norm"], np.linalg.norm(truth["memory"][:, 0, slot], axis=-1), rtol=1e-4)
    expected, last = [], None
    for t in range(21):
        last = t if write[t, slot] > 0.1 else last
        expected.append(last)
    assert body["last_write"] == expected
    assert expected[:3] == [None, None, 2]


def test_a_walk_follows_the_order_of_writing(served):
    truth = served.runs["copy"].arrays(4)
    order = truth["write_weights"][:10, 0, 0].argmax(axis=-1).tolist()
    body = served.client.json(f"/api/v1/runs/copy/records/4/walk?time=12&slot={order[0]}&hops=4")
    assert [hop["slot"] for hop in body["hops"]] == order[:5]
    assert [hop["written"] for hop in body["hops"]] == [0, 1, 2, 3, 4]
    assert body["order"][: body["written"]] == order
    assert sorted(body["order"]) == list(range(16))
    weights, link = np.eye(16)[order[0]], truth["link_matrix"][12, 0, 0].astype(float)
    for hop in body["hops"]:
        assert hop["weight"] == pytest.approx(weights.max(), abs=1e-4)
        assert hop["mass"] == pytest.approx(weights.sum(), abs=1e-4)
        assert 1 <= hop["n_eff"] < 1.2
        weights = link @ weights


@pytest.mark.parametrize(
    ("query", "index", "axes"),
    [
        ("", np.s_[:], ["time", "batch", "read_head", "slot"]),
        ("&item=1", np.s_[:, 1], ["time", "read_head", "slot"]),
        ("&item=1&head=0&time=16", np.s_[16, 1, 0], ["slot"]),
        ("&head=1", np.s_[:, :, 1], ["time", "batch", "slot"]),
    ],
)
def test_exact_values_of_any_part(served, query, index, axes):
    body = served.client.json(f"/api/v1/runs/sweep%2Fcopy-s1/records/2/values?field=memory/read_weights{query}")
    assert body["axes"] == axes
    exact = served.runs["sweep/copy-s1"].arrays(2)["read_weights"][index]
    # Nine digits give a float32 back bit by bit.
    np.testing.assert_array_equal(np.array(body["values"], np.float32), exact)


def test_nan_is_told_in_every_form(served):
    base = "/api/v1/runs/nan/records/3"
    head, codes = served.client.tiles(f"{base}/frame")
    write = served.runs["nan"].arrays(3)["write_vectors"][:, 0, 0].T
    np.testing.assert_array_equal(codes["memory/write_vectors:0"] == 255, np.isnan(write))
    tile = next(tile for tile in head["tiles"] if tile["id"] == "memory/read_weights:0")
    assert tile["stats"]["mass"][6] == "NaN"
    assert math.isfinite(tile["stats"]["mass"][5])
    values = served.client.json(f"{base}/values?field=memory/read_weights&item=0&head=0&time=6")["values"]
    assert values == ["NaN"] * 16
    walk = served.client.json(f"{base}/walk?time=20&slot=0")
    assert walk["hops"][-1]["weight"] == "NaN"
    life = served.client.json(f"{base}/slot?slot=0")
    assert "NaN" in life["read"][0]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/runs/none", 404, "no run 'none'"),
        ("/api/v1/runs/..%2Fsecret/records", 404, "no run"),
        ("/api/v1/runs/copy/records/5", 404, "no record 5"),
        ("/api/v1/runs/copy/records/99999999999999999999/frame", 404, "no record"),
        ("/api/v1/runs/copy/records/4/frame?memory=none", 404, "no memory 'none'"),
        ("/api/v1/runs/copy/records/4/values?field=none", 404, "no field 'none'"),
        ("/api/v1/runs/copy/scalars?name=none", 404, "no scalar 'none'"),
        ("/api/v1/runs/copy/scalars", 400, "'name' is missing"),
        ("/api/v1/runs/copy/records/4/values", 400, "'field' is missing"),
        ("/api/v1/runs/copy/records/4/frame?px=0", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/frame?px=99999", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/frame?px=1e3", 400, "not a number"),
        ("/api/v1/runs/copy/records/4/frame?px=1_0", 400, "not a number"),
        ("/api/v1/runs/copy/records/4/frame?px=%D9%A3", 400, "not a number"),
        ("/api/v1/runs/copy/records/4/frame?px=" + "9" * 5000, 400, "not a number"),
        ("/api/v1/runs/copy/records/4/frame?px=&item=0", 400, "not a number"),
        ("/api/v1/runs/copy/records/4/frame?px=10&px=20", 400, "given 2 times"),
        ("/api/v1/runs/copy/records/4/frame?pxx=10", 400, "no parameter 'pxx'"),
        ("/api/v1/runs/copy/records/4/frame?item=1", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/frame?item=-1", 400, "out of range"),
        ("/api/v1/runs/copy/records?from=-1", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/cell?time=21", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/cell?time=0&slot=16", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/slot?slot=16", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/walk?time=3&slot=0&head=1", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/walk?time=3&slot=0&hops=100000", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/walk?time=3&slot=0&memory=model", 404, "no link matrix"),
        ("/api/v1/runs/copy/records/4/matrices?field=memory/usage", 400, "no matrix"),
        ("/api/v1/runs/copy/records/4/matrices?field=memory/memory&t0=5&t1=5", 400, "out of range"),
        ("/api/v1/runs/copy/records/4/matrices?field=memory/link_matrix&head=1", 400, "out of range"),
        ("/api/v1/nonsense", 404, "no route"),
        ("/api/v2/runs", 404, "no route"),
        ("/api/", 404, "no route"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_refused_in_words(served, path, status, said):
    error = served.client.error(path, status)
    assert said in error["what"]
    assert error["expected"]
    assert error["remedy"]


def test_too_many_numbers_are_refused_with_a_remedy(tmp_path, new_client):
    write_dnc_run(tmp_path / "big", steps=1, times=120, slots=64)
    error = new_client(tmp_path).error("/api/v1/runs/big/records/0/values?field=memory/link_matrix", 400)
    assert "491520 numbers" in error["what"]
    assert "memviz.open" in error["remedy"]


def test_a_run_without_records_answers_everything_but_records(tmp_path, new_client):
    write_dnc_run(tmp_path / "empty", steps=0)
    client = new_client(tmp_path)
    assert client.json("/api/v1/runs/empty")["step"] is None
    assert client.json("/api/v1/runs/empty/records")["count"] == 0
    assert client.error("/api/v1/runs/empty/records/0", 404)["expected"] == "no record yet"
    assert client.json("/api/v1/runs")["runs"][0]["spark"] == []


def test_a_corrupt_trace_is_an_answer_in_words(tmp_path, new_client):
    run = write_dnc_run(tmp_path / "copy", steps=2)
    (run.path / "trace.json").write_text("{")
    client = new_client(tmp_path)
    assert "trace.json" in client.error("/api/v1/runs/copy", 500)["what"]
    assert client.json("/api/v1/runs")["runs"][0]["state"] == "error"


def test_a_mistake_of_the_server_is_an_answer_too(served, monkeypatch, caplog):
    monkeypatch.setattr("memviz.dashboards.frames.frame", lambda *_, **__: 1 / 0)
    error = served.client.error("/api/v1/runs/copy/records/0/frame", 500)
    assert "ZeroDivisionError" in error["what"]
    assert "a request failed" in caplog.text


@pytest.mark.parametrize("path", OF_RECORDS)
def test_records_may_be_kept_by_the_browser(served, path):
    first = served.client.get(path)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert served.client.get(path, **{"If-None-Match": first.headers["ETag"]}).status_code == 304
    version = served.client.json("/api/v1/runs/copy")["version"]
    joint = "&" if "?" in path else "?"
    named = served.client.get(f"{path}{joint}v={version}")
    assert "immutable" in named.headers["Cache-Control"]
    assert named.data == first.data
    assert "immutable" not in served.client.get(f"{path}{joint}v=other").headers["Cache-Control"]


def test_answers_differ_by_what_was_asked(served):
    tags = {served.client.get(path).headers["ETag"] for path in OF_RECORDS}
    tags.add(served.client.get("/api/v1/runs/copy/records/3/frame").headers["ETag"])
    tags.add(served.client.get("/api/v1/runs/nan/records/3/frame").headers["ETag"])
    tags.add(served.client.get("/api/v1/runs/copy/records/4/frame?px=10").headers["ETag"])
    assert len(tags) == len(OF_RECORDS) + 3


def test_a_run_made_anew_is_not_answered_from_the_browsers_memory(tmp_path, new_client):
    import shutil

    run = write_dnc_run(tmp_path / "copy", steps=1)
    client = new_client(tmp_path)
    path = "/api/v1/runs/copy/records/0/frame"
    before = client.get(path)
    version = client.json("/api/v1/runs/copy")["version"]
    shutil.rmtree(run.path)
    write_dnc_run(tmp_path / "copy", steps=1, seed=8)
    after = client.get(path, **{"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.data != before.data) == (200, True)
    assert client.json("/api/v1/runs/copy")["version"] != version
    assert "immutable" not in client.get(f"{path}?v={version}").headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/runs", *ROUTES[:3], "/api/v1/runs/none"])
def test_what_changes_is_never_kept(served, path):
    assert served.client.get(path).headers["Cache-Control"] == "no-store"


def test_every_route_of_the_documentation_is_served_and_none_else(served):
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    headings = {line.split()[2].split("?")[0] for line in text.splitlines() if line.startswith("## GET ")}
    rules = {
        rule.rule.replace("<path:run>", "{id}").replace("<int:index>", "{i}")
        for rule in served.client.flask.application.url_map.iter_rules()
        if rule.endpoint.startswith("memviz_api.") and "unknown" not in rule.endpoint
    }
    assert rules == headings


def test_json_holds_no_bare_nan(served):
    for path in (*ROUTES, "/api/v1/runs", "/api/v1/runs/nan", "/api/v1/runs/nan/records/3"):
        if "/frame" not in path and "/matrices" not in path:
            json.loads(served.client.get(path).text, parse_constant=lambda name: pytest.fail(name))
