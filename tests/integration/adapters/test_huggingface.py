"""Hugging Face transformers: attention equals output_attentions=True of an eager copy, the cache what it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz

pytestmark = pytest.mark.thirdparty

BATCH, TIMES, WORDS = 2, 5, 13


def gpt2(implementation, **options):
    import transformers

    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=8, vocab_size=WORDS, n_positions=32, attn_implementation=implementation,
        bos_token_id=0, eos_token_id=0, **options,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def llama(implementation, **options):
    import transformers

    config = transformers.LlamaConfig(
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=16, intermediate_size=16,
        vocab_size=WORDS, attn_implementation=implementation, bos_token_id=0, eos_token_id=0, pad_token_id=0, **options,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def bert(implementation, **options):
    import transformers

    config = transformers.BertConfig(
        num_hidden_layers=2, num_attention_heads=2, hidden_size=8, intermediate_size=16, vocab_size=WORDS,
        attn_implementation=implementation, **options,
    )  # fmt: skip
    return transformers.BertModel(config)


MODELS = {"gpt2": gpt2, "llama": llama, "bert": bert}


@pytest.fixture
def tokens():
    return torch.randint(1, WORDS, (BATCH, TIMES), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def masked():
    mask = torch.ones(BATCH, TIMES, dtype=torch.long)
    mask[0, :2] = 0  # padded on the left, as for generation
    return mask


def make(kind, implementation, **options):
    """The model with weights large enough that attention is far from even."""
    torch.manual_seed(0)
    model = MODELS[kind](implementation, **options)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def attentions(record):
    names = sorted(name for name in record.stored if name.endswith("/attention"))
    assert names
    return [record[name][0] for name in names]


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("with_mask", [False, True], ids=["", "padded"])
def test_attention_is_what_an_eager_copy_gives_out(kind, implementation, with_mask, tokens, masked, recorded):
    model, copy = make(kind, implementation), make(kind, "eager").eval()
    copy.load_state_dict(model.state_dict())
    given = {"attention_mask": masked} if with_mask else {}
    with torch.no_grad():
        expected = copy(tokens, output_attentions=True, **given).attentions
    record = recorded(model, tokens, **given)
    rows = masked.bool() if with_mask else torch.ones(BATCH, TIMES, dtype=torch.bool)
    for found, weights in zip(attentions(record), expected, strict=True):
        assert found.shape == weights.shape
        assert weights.std() > 0.05, "attention that is even everywhere would prove little"
        alive = rows[:, None, :, None].expand(weights.shape)
        assert np.allclose(found[alive.numpy()], weights[alive], atol=1e-5)


def test_dropout_of_attention_is_not_in_what_is_recorded(tokens, recorded):
    model = make("gpt2", "eager", attn_pdrop=0.5, embd_pdrop=0.0, resid_pdrop=0.0)
    record = recorded(model, tokens, training=True)
    with torch.no_grad():
        expected = model.eval()(tokens, output_attentions=True).attentions
    assert np.allclose(attentions(record)[0], expected[0], atol=1e-5)
    assert np.allclose(attentions(record)[1].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_generation_token_by_token_with_a_growing_cache(kind, implementation, tokens, tmp_path):
    model = make(kind, implementation).eval()
    new = 4
    options = {"every": 1, "fields": "all", "batch": "all"}
    with memviz.attach(model, tmp_path / "run", **options) as recorder, recorder.sequence():
        text = model.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=new, min_new_tokens=new, do_sample=False
        )
    record = memviz.open(tmp_path / "run")[0]
    copy = make(kind, "eager").eval()
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        expected = copy(text[:, :-1], output_attentions=True, use_cache=False).attentions
    names = sorted(name for name in record.stored if name.endswith("/attention"))
    for name, weights in zip(names, expected, strict=True):
        found = record[name]
        assert found.shape == (new, BATCH, weights.shape[1], TIMES, TIMES + new - 1)
        assert np.allclose(found[0, ..., :TIMES], weights[:, :, :TIMES, :TIMES], atol=1e-5)
        for time in range(1, new):
            # One query at a time from here on, with all keys of the cache; rows and columns that are lacking are zero.
            length = TIMES + time
            assert np.allclose(found[time, :, :, 0, :length], weights[:, :, length - 1, :length], atol=1e-5)
            assert not found[time, :, :, 1:].any()
            assert not found[time, ..., length:].any()
    for name in names:
        memory = name.removesuffix("/attention")
        lengths = record[f"{memory}/cache_length"]
        assert lengths.T.tolist() == [[TIMES + time for time in range(new)]] * BATCH
        config = model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        channels = config.hidden_size // config.num_attention_heads
        assert np.array_equal(record[f"{memory}/cache_bytes"], 2 * heads * channels * 4 * lengths)


def test_a_kernel_that_gives_no_weights_is_said(tmp_path, tokens):
    model = make("gpt2", "sdpa")
    model.config._attn_implementation = "flash_attention_2"
    with memviz.attach(model, tmp_path / "run", every=1, strict=False) as recorder:
        told = " ".join(recorder.explain().split())
    assert "gives no weights; load the model with sdpa or eager" in told
