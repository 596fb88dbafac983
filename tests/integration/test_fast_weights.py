"""Linear attention and DeltaNet of one's own, with taps: state, laws and lineage from a record, against the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.analysis.laws import check_laws
from memviz.analysis.lineage import explain_slot
from memviz.analysis.lineage.table import lineage_table
from memviz.analysis.replay import replay_error
from memviz.errors import FieldError, PlaceError

BATCH, TIMES, WIDTH, HEADS, ROWS, COLUMNS = 2, 12, 6, 2, 4, 5


class FastWeights(nn.Module):
    """A layer of fast weights, written as a loop over tokens; `delta` and `decaying` choose the kind."""

    def __init__(self, delta, decaying, start=False):
        super().__init__()
        self.delta, self.decaying = delta, decaying
        self.memviz_law = "delta_net" if delta else "linear_attention"
        self.memviz_attributes = {"decaying": decaying}
        sizes = {"q": ROWS, "k": ROWS, "v": COLUMNS, "beta": 1, "decay": ROWS}
        self.maps = nn.ModuleDict({name: nn.Linear(WIDTH, HEADS * size) for name, size in sizes.items()})
        self.start = nn.Parameter(torch.randn(1, HEADS, ROWS, COLUMNS)) if start else None

    def heads(self, name, x):
        return self.maps[name](x).unflatten(-1, (HEADS, -1))

    def forward(self, x):
        weights = x.new_zeros(len(x), HEADS, ROWS, COLUMNS)
        if self.start is not None:
            weights = weights + memviz.tap("initial/fast_weights", self.start.expand_as(weights))
        outputs = []
        for t in range(x.shape[1]):
            q = memviz.tap("fast_queries", self.heads("q", x[:, t]))
            k = memviz.tap("fast_keys", nn.functional.normalize(self.heads("k", x[:, t]), dim=-1))
            v = memviz.tap("fast_values", self.heads("v", x[:, t]))
            if self.decaying:
                weights = memviz.tap("fast_decay", self.heads("decay", x[:, t]).sigmoid())[..., None] * weights
            if self.delta:
                beta = memviz.tap("fast_rates", self.heads("beta", x[:, t]).sigmoid().squeeze(-1))
                v = beta[..., None] * (v - torch.einsum("bhi,bhij->bhj", k, weights))
            weights = memviz.tap("fast_weights", weights + torch.einsum("bhi,bhj->bhij", k, v))
            outputs.append(memviz.tap("fast_reads", torch.einsum("bhi,bhij->bhj", q, weights)))
        return torch.stack(outputs, dim=1)


KINDS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.fixture(params=KINDS, ids=["linear", "gated linear", "delta", "gated delta"])
def kind(request):
    return request.param


def recorded(kind, path, fields="default", start=True):
    torch.manual_seed(0)
    model = nn.Sequential(FastWeights(*kind, start=start)).double()
    x = torch.randn(BATCH, TIMES, WIDTH, dtype=torch.float64)
    with memviz.attach(model, path, every=1, batch="all", fields=fields, policy="block"):
        output = model(x)
    return model, x, output.detach().numpy(), memviz.open(path)[-1]


def test_state_follows_from_the_generators(kind, tmp_path):
    *_, output, record = recorded(kind, tmp_path / "run")
    assert not {"0/fast_weights", "0/fast_reads"} & set(record.stored)
    assert "0/final/fast_weights" in record.stored
    np.testing.assert_allclose(record["fast_reads"], output.swapaxes(0, 1), atol=1e-6)
    *_, whole = recorded(kind, tmp_path / "whole", fields="all")
    np.testing.assert_allclose(record["fast_weights"], whole["fast_weights"], atol=1e-6)
    assert replay_error(record, "0") < 1e-6


def test_every_law_holds_and_a_broken_one_is_located(kind, tmp_path):
    *_, record = recorded(kind, tmp_path / "run", fields="all")
    checks = check_laws(record)
    assert {"fast_weights", "fast_reads"} <= {check.field for check in checks if check.kind == "state"}
    assert [check.text() for check in checks if not check.holds] == []
    other = {"linear_attention": "delta_net", "delta_net": "linear_attention"}[record.memories["0"].law]
    from memviz.analysis.array_record import ArrayRecord

    arrays = {name.removeprefix("0/"): record[name] for name in record.stored if name.startswith("0/")}
    arrays.setdefault("fast_rates", np.full((TIMES, BATCH, HEADS), 0.5))
    wrong = ArrayRecord(arrays, "0", other, {"decaying": kind[1]})
    (broken,) = [check for check in check_laws(wrong) if not check.holds]
    assert (broken.field, broken.first["time"]) == ("fast_weights", 0)


def test_shares_equal_gradient_times_input_with_keys_and_gates_frozen(kind, tmp_path):
    model, _, output, record = recorded(kind, tmp_path / "run", fields="all")
    layer = model[0]
    keys, queries, values = (torch.tensor(record[f"0/fast_{name}"]) for name in ("keys", "queries", "values"))
    rates = torch.tensor(record["0/fast_rates"]) if kind[0] else None
    decay = torch.tensor(record["0/fast_decay"]) if kind[1] else None
    values.requires_grad_()
    weights = layer.start.detach().expand(BATCH, -1, -1, -1).clone().requires_grad_()
    now, reads = weights, []
    for t in range(TIMES):
        if decay is not None:
            now = decay[t][..., None] * now
        v = values[t]
        if rates is not None:
            v = rates[t][..., None] * (v - torch.einsum("bhi,bhij->bhj", keys[t], now))
        now = now + torch.einsum("bhi,bhj->bhij", keys[t], v)
        reads.append(torch.einsum("bhi,bhij->bhj", queries[t], now))
    for time, head, item in [(TIMES - 1, 1, 0), (5, 0, 1), (0, 0, 0)]:
        found = memviz.lineage(record, time, head, item)
        np.testing.assert_allclose(found.total, output[item, time, head], atol=1e-12)
        assert found.error < 1e-12
        assert found.shares.sum() == pytest.approx(1)
        wanted = np.zeros((time + 2, COLUMNS))
        for column in range(COLUMNS):
            gradients = torch.autograd.grad(reads[time][item, head, column], [weights, values], retain_graph=True)
            wanted[0, column] = (gradients[0] * weights).detach().sum()
            wanted[1:, column] = (gradients[1] * values).detach().sum(dim=(1, 2, 3))[: time + 1]
        np.testing.assert_allclose(found.contributions, wanted, atol=1e-12)
        np.testing.assert_allclose(found.by_slot.sum(axis=1), found.shares, atol=1e-12)
        assert "addressing frozen" in found.text()


def test_the_table_has_the_shares_of_single_reads(kind, tmp_path):
    *_, record = recorded(kind, tmp_path / "run")
    table = lineage_table(record, "0", 1)
    for time in range(TIMES):
        for head in range(HEADS):
            found = memviz.lineage(record, time, head, 1)
            np.testing.assert_allclose(table.shares[time, head, : time + 2], found.shares, atol=1e-10)
            lengths = np.linalg.norm(found.contributions, axis=1)
            np.testing.assert_allclose(table.norms[time, head, : time + 2], lengths, atol=1e-10)


def test_a_row_is_explained_by_the_tokens_that_it_holds(kind, tmp_path):
    *_, record = recorded(kind, tmp_path / "run", fields="all")
    found = explain_slot(record, 7, 2)
    np.testing.assert_allclose(found.total, record["0/fast_weights"][7, 0, 0, 2], atol=1e-12)


def test_a_read_before_the_write_does_not_see_its_own_token(tmp_path):
    *_, record = recorded((True, False), tmp_path / "run", fields="all")
    from memviz.analysis.array_record import ArrayRecord

    arrays = {name.removeprefix("0/"): record[name] for name in record.stored if name.startswith("0/")}
    first = np.broadcast_to(arrays["initial/fast_weights"], arrays["fast_weights"][:1].shape)
    before = np.concatenate([first, arrays["fast_weights"][:-1]])
    arrays["fast_reads"] = np.einsum("tbhi,tbhij->tbhj", arrays["fast_queries"], before)
    early = ArrayRecord(arrays, "0", "delta_net", {"read_order": "before_write"})
    assert [check.text() for check in check_laws(early) if not check.holds] == []
    found = memviz.lineage(early, 4, 1)
    assert found.error < 1e-12
    assert found.shares[5] == 0
    np.testing.assert_allclose(lineage_table(early, "0").shares[4, 1, :6], found.shares, atol=1e-12)
    assert memviz.lineage(early, 0, 0).shares[0] == pytest.approx(1)


def test_what_is_missing_or_out_of_range_is_told(tmp_path):
    *_, record = recorded((True, False), tmp_path / "run", fields=["fast_keys", "fast_values", "fast_queries"])
    with pytest.raises(FieldError, match="fast_rates"):
        memviz.lineage(record, 3, 0)
    *_, record = recorded((False, False), tmp_path / "other")
    with pytest.raises(PlaceError, match="head 2"):
        memviz.lineage(record, 3, 2)
    with pytest.raises(FieldError, match="without read modes"):
        _ = memviz.lineage(record, 3, 0).split
    assert np.isfinite(memviz.lineage(record, -1, 0).age)


def test_the_routes_tell_the_origin_of_a_read_and_the_readers_of_a_token(tmp_path):
    from memviz.dashboards.app import create_app
    from memviz.dashboards.guard import make_guard
    from memviz.dashboards.source import Source

    *_, record = recorded((True, True), tmp_path / "run")
    client = create_app(Source([tmp_path]), make_guard("127.0.0.1")).server.test_client()

    def ask(path):
        answer = client.get(f"/api/v1/runs/run/records/0{path}", headers={"Host": "localhost:8321"})
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    told = ask("/lineage?memory=0&item=1&time=9&head=1")
    np.testing.assert_allclose(told["shares"], memviz.lineage(record, 9, 1, 1).shares, atol=1e-5)
    assert told["split"] is None
    readers = ask("/readers?memory=0&item=1&time=4")
    np.testing.assert_allclose(readers["shares"][1], lineage_table(record, "0", 1).shares[:, 1, 5], atol=1e-5)
    (memory,) = [one for one in ask("")["memories"] if one["name"] == "0"]
    assert memory["read_heads"] == HEADS
