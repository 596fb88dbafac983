"""States and gates of recurrent layers, against torch's own cells run one time after the other, and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

TIMES, BATCH, WIDTH, UNITS = 5, 3, 4, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(layer, suffix):
    """Weights and biases in float64; zero biases where there are none."""
    found = []
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        value = getattr(layer, f"{name}{suffix}", None)
        rows = getattr(layer, f"weight_ih{suffix}").shape[0]
        found.append(np.zeros(rows) if value is None else value.detach().double().numpy())
    return found


def lstm(layer, suffix, x, hidden, cell, lengths=None, backward=False):
    """Hochreiter and Schmidhuber 1997 with forget gates, and the projection of Sak et al. 2014; all by time."""
    into, again, bias, more = numbers(layer, suffix)
    projection = getattr(layer, f"weight_hr{suffix}", None)
    found = {
        name: np.zeros((len(x), x.shape[1], UNITS))
        for name in ("input_gate", "forget_gate", "output_gate", "cell_state")
    }
    found["hidden_state"] = np.zeros((len(x), *hidden.shape))
    for time in reversed(range(len(x))) if backward else range(len(x)):
        i, f, g, o = np.split(x[time] @ into.T + bias + hidden @ again.T + more, 4, axis=1)
        after = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        shown = sigmoid(o) * np.tanh(after)
        if projection is not None:
            shown = shown @ projection.detach().double().numpy().T
        alive = np.ones(x.shape[1], bool) if lengths is None else np.array(lengths) > time
        cell, hidden = np.where(alive[:, None], after, cell), np.where(alive[:, None], shown, hidden)
        gates = {"input_gate": sigmoid(i), "forget_gate": sigmoid(f), "output_gate": sigmoid(o)}
        values = {**gates, "cell_state": after, "hidden_state": shown}
        for name, value in values.items():
            found[name][time, alive] = value[alive]
    return found


def gru(layer, suffix, x, hidden):
    """Cho et al. 2014, as torch.nn.GRU documents it."""
    into, again, bias, more = numbers(layer, suffix)
    found = {name: [] for name in ("hidden_state", "update_gate", "reset_gate")}
    for x_t in x:
        r, z, n = np.split(x_t @ into.T + bias, 3, axis=1)
        r2, z2, n2 = np.split(hidden @ again.T + more, 3, axis=1)
        r, z = sigmoid(r + r2), sigmoid(z + z2)
        hidden = (1 - z) * np.tanh(n + r * n2) + z * hidden
        for name, value in (("hidden_state", hidden), ("update_gate", z), ("reset_gate", r)):
            found[name].append(value)
    return {name: np.stack(values) for name, values in found.items()}


def close(record, memory, expected):
    prefix = f"{memory}/" if memory else ""
    for name, value in expected.items():
        assert np.allclose(record[prefix + name], value, atol=1e-5), f"{prefix}{name}"


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args):
        return self.inner(*args)


@pytest.fixture
def x():
    return torch.randn(TIMES, BATCH, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [True, False], ids=["", "without bias"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "time first"])
def test_lstm_of_two_layers_with_a_state(recorded, x, batch_first, bias):
    torch.manual_seed(0)
    layer = nn.LSTM(WIDTH, UNITS, 2, bias=bias, batch_first=batch_first)
    state = torch.randn(2, BATCH, UNITS), torch.randn(2, BATCH, UNITS)
    record = recorded(layer, x.transpose(0, 1) if batch_first else x, state)
    h, c = (part.double().numpy() for part in state)
    below = lstm(layer, "_l0", x.double().numpy(), h[0], c[0])
    close(record, "layer0", below)
    close(record, "layer1", lstm(layer, "_l1", below["hidden_state"], h[1], c[1]))
    output, (last, cells) = layer(x.transpose(0, 1) if batch_first else x, state)
    assert np.allclose(
        record["layer1/hidden_state"], (output.transpose(0, 1) if batch_first else output).detach(), atol=1e-6
    )
    assert np.allclose(record["layer0/hidden_state"][-1], last[0].detach(), atol=1e-6)
    assert np.allclose(record["layer1/cell_state"][-1], cells[1].detach(), atol=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_lstm_in_both_directions_with_a_projection(recorded, x):
    torch.manual_seed(0)
    layer = nn.LSTM(WIDTH, UNITS, bidirectional=True, proj_size=2)
    record = recorded(Around(layer), x)
    output, _ = layer(x)
    for memory, suffix, backward, columns in (
        ("inner.layer0", "_l0", False, slice(0, 2)),
        ("inner.layer0.reverse", "_l0_reverse", True, slice(2, 4)),
    ):
        expected = lstm(
            layer, suffix, x.double().numpy(), np.zeros((BATCH, 2)), np.zeros((BATCH, UNITS)), None, backward
        )
        shown = expected.pop("hidden_state")
        close(record, memory, expected)
        close(record, f"{memory}.projected", {"hidden_state": shown})
        assert np.allclose(shown, output[..., columns].detach(), atol=1e-6)


@pytest.mark.parametrize("backward", [False, True], ids=["", "backward too"])
def test_a_packed_sequence_ends_where_its_items_do(recorded, x, backward):
    torch.manual_seed(0)
    layer, lengths = nn.LSTM(WIDTH, UNITS, bidirectional=backward), [3, 5, 2]
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    record = recorded(Around(layer), packed)
    zeros = np.zeros((BATCH, UNITS))
    forth = "inner.layer0" if backward else "inner"
    close(record, forth, lstm(layer, "_l0", x.double().numpy(), zeros, zeros, lengths))
    if backward:
        close(
            record, "inner.layer0.reverse", lstm(layer, "_l0_reverse", x.double().numpy(), zeros, zeros, lengths, True)
        )


def test_gru(recorded, x):
    torch.manual_seed(0)
    layer, state = nn.GRU(WIDTH, UNITS, 2), torch.randn(2, BATCH, UNITS)
    record = recorded(layer, x, state)
    below = gru(layer, "_l0", x.double().numpy(), state[0].double().numpy())
    close(record, "layer0", below)
    close(record, "layer1", gru(layer, "_l1", below["hidden_state"], state[1].double().numpy()))
    assert np.allclose(record["layer1/hidden_state"], layer(x, state)[0].detach(), atol=1e-6)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn(recorded, x, nonlinearity):
    torch.manual_seed(0)
    layer = nn.RNN(WIDTH, UNITS, nonlinearity=nonlinearity)
    record = recorded(Around(layer), x)
    assert np.allclose(record["hidden_state"], layer(x)[0].detach(), atol=1e-6)


def test_a_sequence_without_a_batch(recorded, x):
    torch.manual_seed(0)
    layer = nn.LSTM(WIDTH, UNITS)
    record = recorded(Around(layer), x[:, 0])
    assert np.allclose(record["hidden_state"][:, 0], layer(x[:, 0])[0].detach(), atol=1e-6)


class Loop(nn.Module):
    """Calls a cell at every time."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state = None
        for x_t in x:
            state = self.cell(x_t, state)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_are_the_layers_of_the_same_weights(recorded, x, kind):
    torch.manual_seed(0)
    cell = kind(WIDTH, UNITS)
    record = recorded(Loop(cell), x)
    zeros, given = np.zeros((BATCH, UNITS)), x.double().numpy()
    if kind is nn.LSTMCell:
        close(record, "cell", lstm(cell, "", given, zeros, zeros))
    elif kind is nn.GRUCell:
        close(record, "cell", gru(cell, "", given, zeros))
    else:
        layer = nn.RNN(WIDTH, UNITS)
        layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
        close(record, "cell", {"hidden_state": layer(x)[0].detach().numpy()})


def test_dropout_between_layers_hides_the_upper_one_and_that_is_said(recorded, tmp_path, x):
    import memviz

    layer = nn.LSTM(WIDTH, UNITS, 2, dropout=0.5)
    record = recorded(Around(layer), x, training=True)
    assert "inner.layer0/cell_state" in record.stored
    assert "inner.layer1/cell_state" not in record.stored
    with memviz.attach(layer, tmp_path / "said", every=1, strict=False) as recorder:
        assert "is random and not given out" in " ".join(recorder.explain().split())
    assert "inner.layer1/cell_state" in recorded(Around(layer), x, training=False).stored
