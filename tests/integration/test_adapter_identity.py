"""Every adapter on the real package: attaching changes no output, no gradient and no random number, not by one bit."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import memviz

pytestmark = pytest.mark.thirdparty


def load(name):
    """A third-party module; packages that still use torch.jit.script warn of it when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(name)


class Around(nn.Module):
    """Gives a module a root of its own, so that the hooks of a recorder are not on the module itself."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


class Projected(nn.Module):
    """Attention over the function, with dropout."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(8, 24)

    def forward(self, x):
        query, key, value = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.into(x).chunk(3, -1))
        return functional.scaled_dot_product_attention(query, key, value, dropout_p=0.2, is_causal=True)


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return Around(nn.TransformerEncoder(layer, 2)), (torch.randn(3, 5, 8),), {}


def decoder():
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    return Around(nn.TransformerDecoder(layer, 1)), (torch.randn(3, 5, 8), torch.randn(3, 4, 8)), {}


def attention():
    return nn.MultiheadAttention(8, 2, dropout=0.1), (torch.randn(5, 3, 8),) * 3, {}


def sdpa():
    return Projected(), (torch.randn(3, 5, 8),), {}


def recurrent(kind, **options):
    def build():
        return kind(4, 6, **options), (torch.randn(5, 3, 4),), {}

    return build


def gpt2(implementation):
    def build():
        transformers = load("transformers")
        config = transformers.GPT2Config(
            n_layer=2, n_head=2, n_embd=8, vocab_size=11, n_positions=16, attn_implementation=implementation
        )
        return transformers.GPT2LMHeadModel(config), (torch.arange(10).view(2, 5),), {}

    return build


def llama():
    transformers = load("transformers")
    config = transformers.LlamaConfig(
        num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, hidden_size=16, intermediate_size=16,
        vocab_size=11, attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config), (torch.arange(10).view(2, 5),), {}


def x_transformer(**options):
    def build():
        x = load("x_transformers")
        layers = x.Decoder(dim=8, depth=1, heads=2, attn_dim_head=4, attn_num_mem_kv=2, attn_dropout=0.1, **options)
        model = x.TransformerWrapper(num_tokens=11, max_seq_len=16, num_memory_tokens=2, attn_layers=layers)
        return model, (torch.arange(10).view(2, 5),), {}

    return build


def titans():
    package = load("titans_pytorch")
    return package.NeuralMemory(dim=8, chunk_size=2, heads=2, dim_head=4), (torch.randn(2, 6, 8),), {}


def product_keys():
    package = load("product_key_memory")
    return package.PKM(8, heads=2, num_keys=4, topk=2, dim_head=4, attn_dropout=0.1), (torch.randn(2, 5, 8),), {}


def recurrent_memory():
    package = load("recurrent_memory_transformer_pytorch")
    inner = package.RecurrentMemoryTransformer(
        dim=8, num_tokens=11, depth=2, num_memory_tokens=2, seq_len=4, dim_head=4, heads=2, attn_dropout=0.1
    )
    return package.RecurrentMemoryTransformerWrapper(inner), (torch.randint(0, 11, (2, 12)),), {}


def block_recurrent():
    package = load("block_recurrent_transformer_pytorch")
    model = package.BlockRecurrentTransformer(
        num_tokens=11, dim=8, depth=2, dim_head=4, heads=2, max_seq_len=8, block_width=4, num_state_vectors=3
    )
    return model, (torch.randint(0, 11, (2, 8)),), {}


CASES = {
    "encoder": encoder,
    "decoder": decoder,
    "attention": attention,
    "sdpa": sdpa,
    "LSTM": recurrent(nn.LSTM, num_layers=2, dropout=0.2),
    "LSTM-projected": recurrent(nn.LSTM, proj_size=3, bidirectional=True),
    "GRU": recurrent(nn.GRU, num_layers=2),
    "RNN": recurrent(nn.RNN, nonlinearity="relu"),
    "LSTMCell": lambda: (nn.LSTMCell(4, 6), (torch.randn(3, 4),), {}),
    "GRUCell": lambda: (nn.GRUCell(4, 6), (torch.randn(3, 4), torch.randn(3, 6)), {}),
    "gpt2-eager": gpt2("eager"),
    "gpt2-sdpa": gpt2("sdpa"),
    "llama": llama,
    "x-transformers": x_transformer(),
    "x-transformers-flash": x_transformer(attn_flash=True),
    "titans": titans,
    "product-key-memory": product_keys,
    "recurrent-memory-transformer": recurrent_memory,
    "block-recurrent-transformer": block_recurrent,
}


def tensors(value):
    """All tensors in what a model returned."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [one for part in value for one in tensors(part)] if isinstance(value, list | tuple) else []


def run(model, args, kwargs, training):
    """One forward, and a backward where it trains: outputs, gradients and the state of the random numbers after it."""
    model.train(training)
    model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    with torch.set_grad_enabled(training):
        output = tensors(model(*args, **kwargs))
        if training:
            sum(one.float().square().sum() for one in output if one.requires_grad).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [one.detach().clone() for one in output], gradients, torch.get_rng_state()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("case", CASES)
def test_attaching_changes_nothing(case, tmp_path):
    torch.manual_seed(0)
    model, args, kwargs = CASES[case]()
    before = {training: run(model, args, kwargs, training) for training in (True, False)}
    hooks = {name: (len(part._forward_hooks), len(part._forward_pre_hooks), set(vars(part)))
             for name, part in model.named_modules()}  # fmt: skip
    functions = dict(vars(functional)), dict(vars(torch))
    for training in (True, False):
        with memviz.attach(model, tmp_path / str(training), every=1, fields="all", batch="all") as recorder:
            during = run(model, args, kwargs, training)
            assert recorder.flush(30)
            assert recorder.stats().errors == 0, recorder.explain()
        after = run(model, args, kwargs, training)
        for got in (during, after):
            for mine, theirs in zip(got, before[training], strict=True):
                pairs = zip(mine, theirs, strict=True) if isinstance(mine, list) else [(mine, theirs)]
                assert all(torch.equal(a, b) for a, b in pairs)
        trace = memviz.open(tmp_path / str(training))
        assert [event.message for event in trace.events if event.kind in ("error", "stopped")] == []
        assert any(not name.startswith("model/") for name in trace[0].stored)
    assert hooks == {
        name: (len(part._forward_hooks), len(part._forward_pre_hooks), set(vars(part)))
        for name, part in model.named_modules()
    }
    assert functions == (dict(vars(functional)), dict(vars(torch)))
