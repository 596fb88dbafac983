"""The adapters of the two public NTMs, on classes of their layout; our presets give what these classes give."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import memviz
from memviz.analysis.laws import check_laws
from memviz.demos.models.ntm import NTM
from memviz.recorders.adapters.dnc import DNCAdapter
from memviz.recorders.adapters.ntm import NTMPytorchAdapter, PytorchNTMAdapter

SLOTS, WORDS, BITS, HIDDEN, TIMES = 6, 4, 3, 5, 7


def shifted(weights, shift):
    """The ring moved by +1, 0 and -1, mixed by the three shares."""
    moves = torch.stack([weights.roll(1, 1), weights, weights.roll(-1, 1)], 2)
    return (moves @ shift.unsqueeze(2)).squeeze(2)


def sharpened(weights, power):
    powers = weights**power
    return powers / (powers.sum(1, keepdim=True) + 1e-16)


class Bank(nn.Module):
    """The memory of both layouts: a tensor that is replaced at every write, in a module that is never called."""

    def __init__(self):
        super().__init__()
        self.N, self.M = self.n, self.m = SLOTS, WORDS
        self.register_buffer("mem_bias", torch.empty(SLOTS, WORDS).uniform_(-0.3, 0.3))
        self.memory_bias_fc = nn.Linear(1, SLOTS * WORDS)
        self.learned = False

    def reset(self, batch_size=1):
        start = torch.sigmoid(self.memory_bias_fc(torch.zeros(1, 1))).view(SLOTS, WORDS)
        self.memory = (start if self.learned else self.mem_bias).clone().repeat(batch_size, 1, 1)

    def content(self, key, strength):
        return torch.softmax(strength * functional.cosine_similarity(self.memory, key.unsqueeze(1), dim=2), 1)

    def read(self, weights):
        return (weights.unsqueeze(1) @ self.memory).squeeze(1)

    def write(self, weights, data, erase=None):
        erase = torch.ones_like(data) if erase is None else erase
        keep = 1 - weights.unsqueeze(2) * erase.unsqueeze(1)
        self.memory = self.memory * keep + weights.unsqueeze(2) * data.unsqueeze(1)

    address = content


class OneLayerHead(nn.Module):
    """A head as in pytorch-ntm: one linear layer for all that it emits."""

    def __init__(self, memory, reads):
        super().__init__()
        self.memory, self.reads = memory, reads
        lengths = [WORDS, 1, 1, 3, 1]
        if reads:
            self.read_lengths = lengths
            self.fc_read = nn.Linear(HIDDEN, sum(lengths))
        else:
            self.write_lengths = [*lengths, WORDS, WORDS]
            self.fc_write = nn.Linear(HIDDEN, sum(self.write_lengths))

    def is_read_head(self):
        return self.reads

    def forward(self, embeddings, w_prev):
        emitted = (self.fc_read if self.reads else self.fc_write)(embeddings)
        lengths = self.read_lengths if self.reads else self.write_lengths
        key, strength, gate, shift, power, *written = torch.split(emitted, lengths, 1)
        content = self.memory.content(key, functional.softplus(strength))
        gate = torch.sigmoid(gate)
        moved = shifted(gate * content + (1 - gate) * w_prev, torch.softmax(shift, 1))
        weights = sharpened(moved, 1 + functional.softplus(power))
        if self.reads:
            return self.memory.read(weights), weights
        self.memory.write(weights, written[1], torch.sigmoid(written[0]))
        return weights


class Stateless(nn.Module):
    """An NTM as in pytorch-ntm: the state goes in and comes out, the memory is an attribute."""

    def __init__(self, heads=2):
        super().__init__()
        self.memory = Bank()
        self.controller = nn.Module()
        self.controller.lstm = nn.LSTM(BITS + heads * WORDS, HIDDEN)
        self.heads = nn.ModuleList(OneLayerHead(self.memory, reads) for _ in range(heads) for reads in (True, False))
        self.fc = nn.Linear(HIDDEN + heads * WORDS, 2)
        self.starts = [torch.randn(1, WORDS) for _ in range(heads)]

    def begin(self, batch):
        self.memory.reset(batch)
        zeros = torch.zeros(1, batch, HIDDEN)
        reads = [start.repeat(batch, 1) for start in self.starts]
        return reads, (zeros, zeros), [torch.zeros(batch, SLOTS) for _ in self.heads]

    def forward(self, x, prev_state):
        reads, controller, weightings = prev_state
        hidden, controller = self.controller.lstm(torch.cat([x, *reads], 1).unsqueeze(0), controller)
        hidden, reads, after = hidden.squeeze(0), [], []
        for head, before in zip(self.heads, weightings, strict=True):
            found = head(hidden, before)
            if head.is_read_head():
                reads.append(found[0])
                found = found[1]
            after.append(found)
        return torch.sigmoid(self.fc(torch.cat([hidden, *reads], 1))), (reads, controller, after)


class LayersHead(nn.Module):
    """A head as in ntm-pytorch: a linear layer for each thing that it emits, no erase vector."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.key_fc = nn.Linear(HIDDEN, WORDS)
        self.key_strength_fc = nn.Linear(HIDDEN, 1)
        self.interpolation_gate_fc = nn.Linear(HIDDEN, 1)
        self.shift_weighting_fc = nn.Linear(HIDDEN, 3)
        self.sharpen_factor_fc = nn.Linear(HIDDEN, 1)
        self.write_data_fc = nn.Linear(HIDDEN, WORDS)

    def forward(self, controller_state, prev_weights, memory, data=None):
        content = memory.content(
            self.key_fc(controller_state), functional.softplus(self.key_strength_fc(controller_state))
        )
        gate = torch.sigmoid(self.interpolation_gate_fc(controller_state))
        shift = torch.softmax(self.shift_weighting_fc(controller_state), 1)
        moved = shifted(gate * content + (1 - gate) * prev_weights, shift)
        weights = sharpened(moved, 1 + functional.softplus(self.sharpen_factor_fc(controller_state)))
        if self.mode == "r":
            return weights, memory.read(weights)
        memory.write(weights, self.write_data_fc(controller_state))
        return weights, data


class Stateful(nn.Module):
    """An NTM as in ntm-pytorch: all state is in attributes, the heads see the cell of the controller."""

    def __init__(self, heads=2):
        super().__init__()
        self.memory = Bank()
        self.memory.learned = True
        self.net = nn.LSTMCell(BITS + heads * WORDS, HIDDEN)
        self.heads = nn.ModuleList(LayersHead(mode) for _ in range(heads) for mode in "rw")
        self.out = nn.Linear(HIDDEN + heads * WORDS, 2)
        self.starts = torch.randn(heads, WORDS)

    def begin(self, batch):
        self.memory.reset(batch)
        self.state = torch.zeros(batch, HIDDEN), torch.zeros(batch, HIDDEN)
        self.prev_head_weights = [torch.zeros(batch, SLOTS) for _ in self.heads]
        self.prev_reads = [start.repeat(batch, 1) for start in self.starts]

    prev_head_weights, prev_reads = (), ()

    def forward(self, in_data):
        self.state = self.net(torch.cat([in_data, *self.prev_reads], 1), self.state)
        weightings, reads = [], []
        for head, before in zip(self.heads, self.prev_head_weights, strict=True):
            weights, data = head(self.state[1], before, self.memory)
            weightings.append(weights)
            if head.mode == "r":
                reads.append(data)
        self.prev_head_weights, self.prev_reads = weightings, reads
        return torch.sigmoid(self.out(torch.cat([self.state[0], *reads], 1)))


class Sequence(nn.Module):
    """The loop over a sequence as a module, which is what people attach to: one forward is one sequence."""

    batch_first = True

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        state, outputs = self.net.begin(len(x)), []
        for x_t in x.unbind(1):
            if state is None:
                outputs.append(self.net(x_t))
            else:
                output, state = self.net(x_t, state)
                outputs.append(output)
        return torch.stack(outputs, 1)


LAYOUTS = {"pytorch-ntm": Stateless, "ntm-pytorch": Stateful}


def made(name, heads=2):
    torch.manual_seed(0)
    model = Sequence(LAYOUTS[name](heads))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model


def twin(name, model):
    """Our preset with the weights of a model of the layout."""
    net, heads = model.net, len(model.net.heads) // 2
    ours = NTM.preset(name, BITS, HIDDEN, 2, read_heads=heads, nr_cells=SLOTS, cell_size=WORDS)
    weights = {name: [] for name in ours.memory.layout}
    for head in [*net.heads[::2], *net.heads[1::2]]:
        reads = head.is_read_head() if name == "pytorch-ntm" else head.mode == "r"
        side = "read" if reads else "write"
        names = [f"{side}_keys", f"{side}_strengths", "interpolation_gate", "shift_weights", "sharpening"]
        if name == "pytorch-ntm":
            layer = head.fc_read if reads else head.fc_write
            parts = torch.split(
                torch.cat((layer.weight, layer.bias.unsqueeze(1)), 1),
                head.read_lengths if reads else head.write_lengths,
            )
            names += [] if reads else ["erase_vectors", "write_vectors"]
        else:
            layers = [head.key_fc, head.key_strength_fc, head.interpolation_gate_fc, head.shift_weighting_fc]
            layers += [head.sharpen_factor_fc, *([] if reads else [head.write_data_fc])]
            parts = [torch.cat((layer.weight, layer.bias.unsqueeze(1)), 1) for layer in layers]
            names += [] if reads else ["write_vectors"]
        for field, part in zip(names, parts, strict=True):
            weights[field].append(part)
    rows = torch.cat([part for parts in weights.values() for part in parts])
    cell = net.controller.lstm if name == "pytorch-ntm" else net.net
    held = {f"controller.layers.0.{n.removesuffix('_l0')}": value for n, value in cell.named_parameters()}
    output = net.fc if name == "pytorch-ntm" else net.out
    held |= {"memory.interface.weight": rows[:, :-1], "memory.interface.bias": rows[:, -1]}
    held |= {"output.weight": output.weight, "output.bias": output.bias}
    held |= {f"controller.initial_{part}": torch.zeros(1, HIDDEN) for part in ("hidden", "cell")}
    if name == "pytorch-ntm":
        held |= {"initial.memory": net.memory.mem_bias, "initial.read_vectors": torch.cat(net.starts)}
    else:
        held |= {"initial.memory": net.memory.memory_bias_fc.bias.view(SLOTS, WORDS)}
    ours.load_state_dict(held)
    return ours


def started(name, model, ours, batch):
    """The initial state of our model, with the first reads of the other one."""
    state = ours.initial_state(batch)
    starts = torch.cat(model.net.starts) if name == "pytorch-ntm" else model.net.starts
    return state._replace(read_vectors=starts.expand(batch, -1, -1))


def recorded(model, path, x, **options):
    with memviz.attach(model, path, every=1, **{"fields": "all", "batch": "all", **options}) as recorder:
        model(x)
    return memviz.open(recorder.path)[-1]


def sequences(batch=3):
    return torch.randn(batch, TIMES, BITS, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("heads", [1, 2])
def test_our_preset_gives_what_the_layout_gives(name, heads):
    model = made(name, heads).double()
    ours = twin(name, model).double()
    if name == "pytorch-ntm":
        model.net.starts = [start.double() for start in model.net.starts]
    x = sequences().double()
    for parameter in model.parameters():
        parameter.requires_grad_()
    torch.set_default_dtype(torch.float64)
    try:
        expected = model(x)
        actual, _ = ours(x, started(name, model, ours, len(x)))
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_recorded_is_what_an_independent_model_computes(name, tmp_path):
    model = made(name)
    record = recorded(model, tmp_path / "theirs", sequences())
    ours = twin(name, model)

    class Started(nn.Module):
        """Our model from the state in which the other one starts."""

        batch_first = True

        def __init__(self):
            super().__init__()
            self.net = ours

        def forward(self, x):
            return self.net(x, started(name, model, self.net, len(x)))[0]

    own = recorded(Started(), tmp_path / "ours", sequences())
    names = [full.removeprefix("net/") for full in record.stored if full.startswith("net/")]
    assert {*names} >= {"memory", "read_weights", "write_weights", "read_vectors", "shift_weights", "initial/memory"}
    for field in names:
        np.testing.assert_allclose(record[f"net/{field}"], own[f"net.memory/{field}"], rtol=0, atol=1e-5, err_msg=field)
    for field in ("read_content_weights", "write_content_weights"):
        np.testing.assert_allclose(record[f"net/{field}"], own[f"net.memory/{field}"], rtol=0, atol=1e-5, err_msg=field)
        assert record.is_derived(f"net/{field}")


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_laws_hold_and_lineage_explains_the_reads(name, tmp_path):
    record = recorded(made(name), tmp_path / "run", sequences())
    checks = check_laws(record)
    assert [check.text() for check in checks if not check.holds] == []
    assert {check.field for check in checks if check.kind == "state"} >= {"memory", "read_vectors", "write_weights"}
    for head in range(2):
        assert memviz.lineage(record, -1, head).error < 1e-5


@pytest.mark.parametrize("name", LAYOUTS)
def test_by_default_the_state_is_derived(name, tmp_path):
    model = made(name)
    record = recorded(model, tmp_path / "default", sequences(), fields="default")
    whole = recorded(model, tmp_path / "all", sequences())
    for field in ("memory", "read_vectors"):
        assert record.is_derived(f"net/{field}")
        np.testing.assert_allclose(record[f"net/{field}"], whole[f"net/{field}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_one_item_of_the_batch_equals_that_item_of_all(name, tmp_path):
    model = made(name)
    whole = recorded(model, tmp_path / "all", sequences())
    one = recorded(model, tmp_path / "one", sequences(), batch=1)
    for full in one.stored:
        axis = whole.schema(full).axes.index("batch")
        if whole[full].shape[axis] == 1:  # a state that all items begin with is recorded once
            assert full.startswith("net/initial/")
            continue
        np.testing.assert_allclose(one[full], np.take(whole[full], [1], axis), rtol=0, atol=1e-6, err_msg=full)


@pytest.mark.parametrize("name", LAYOUTS)
def test_training_is_the_same_bit_for_bit(name, tmp_path):
    plain = made(name)
    watched = copy.deepcopy(plain)
    results = []
    for model in (plain, watched):
        recorder = memviz.attach(model, tmp_path / "run", every=1, fields="all") if model is watched else None
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        torch.manual_seed(2)
        for _ in range(2):
            output = model(sequences())
            optimizer.zero_grad()
            (output.square().mean() + torch.rand(())).backward()
            optimizer.step()
        if recorder:
            recorder.close()
            assert recorder.stats().recorded == 2
        results.append([output, *(p.grad for p in model.parameters() if p.grad is not None), *model.parameters()])
        results[-1].append(torch.rand(3))
    assert len(results[0]) == len(results[1])
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watched.modules())


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_loop_over_times_in_the_script_is_one_record(name, tmp_path):
    model, x = made(name), sequences()
    whole = recorded(model, tmp_path / "module", x)
    with memviz.attach(model.net, tmp_path / "loop", every=1, fields="all", batch="all") as recorder:
        for _ in range(2):
            with recorder.sequence():
                state = model.net.begin(len(x))
                for x_t in x.unbind(1):
                    if state is None:
                        model.net(x_t)
                    else:
                        _, state = model.net(x_t, state)
    trace = memviz.open(recorder.path)
    assert len(trace) == 2
    for full in whole.stored:
        if full.startswith("net/"):
            np.testing.assert_array_equal(trace[0][f"memory/{full.removeprefix('net/')}"], whole[full], err_msg=full)


def test_explain_names_the_adapter_and_the_sizes(tmp_path):
    for name in LAYOUTS:
        with memviz.attach(made(name), tmp_path / name, every=1) as recorder:
            text = recorder.explain()
        assert f"by adapter {name}, law ntm" in text
        assert f"{SLOTS} slots, {WORDS} words, 2 read heads" in text


def test_each_knows_its_own_layout_and_no_stranger():
    adapters = {"pytorch-ntm": PytorchNTMAdapter(), "ntm-pytorch": NTMPytorchAdapter()}
    for name, layout in LAYOUTS.items():
        net = layout()
        assert [adapter.matches(net) for adapter in adapters.values()] == [other == name for other in adapters]
        assert not DNCAdapter().matches(net)
    strangers = [nn.LSTM(2, 2), nn.Sequential(), nn.MultiheadAttention(4, 2), Bank(), NTM(2, 3), LayersHead("r")]
    for adapter in adapters.values():
        assert not any(adapter.matches(module) for module in strangers)


def test_attributes_say_in_which_order_the_heads_act():
    (plan,) = PytorchNTMAdapter().plan(Stateless(3), "cell")
    assert plan.name == "cell"
    assert plan.attributes["read_order"] == [0, 1, 2]
    assert plan.attributes["write_order"] == "series"
    assert PytorchNTMAdapter().plan(Stateless(), "")[0].name == "memory"
