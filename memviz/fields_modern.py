"""The part of the catalogue for recurrent nets, attention, sparse accesses and fast weights; see memviz.fields.

Each row holds the arguments of `memviz.fields.Field`. Sources: Hochreiter and Schmidhuber 1997 and Gers et al. 2000
(LSTM), Cho et al. 2014 (GRU), Vaswani et al. 2017 (attention), Rae et al. 2016 (sparse accesses), Behrouz et al. 2024
(Titans, equations 8 to 14), Katharopoulos et al. 2020 (linear attention), Schlag et al. 2021 (DeltaNet).
"""

from __future__ import annotations

from typing import Any

_UNIT = ("time", "batch", "unit")
_HEAD = ("time", "batch", "head")
_ROW, _COLUMN = (*_HEAD, "row"), (*_HEAD, "column")

MODERN: tuple[tuple[Any, ...], ...] = (
    ("hidden_state", "Hidden state", _UNIT, "signed", "h", "what a recurrent layer gives out at each time"),
    ("cell_state", "Cell state", _UNIT, "signed", "c", "what an LSTM keeps from one time to the next"),
    ("input_gate", "Input gate", _UNIT, "gate", "i", "how far the new content enters the cell", 0.0, 1.0),
    ("forget_gate", "Forget gate", _UNIT, "gate", "f", "how far the cell keeps (1) or drops (0) its content", 0.0, 1.0),
    ("output_gate", "Output gate", _UNIT, "gate", "o", "how far the cell shows its content", 0.0, 1.0),
    (
        "update_gate",
        "Update gate",
        _UNIT,
        "gate",
        "z",
        "keep the hidden state (1) or take the new content (0)",
        0.0,
        1.0,
    ),
    ("reset_gate", "Reset gate", _UNIT, "gate", "r", "how far the new content sees the hidden state", 0.0, 1.0),
    (
        "query_positions",
        "Query positions",
        ("time", "batch", "query"),
        "index",
        "i",
        "which queries were recorded, where a large attention was thinned",
    ),
    ("cache_length", "Cache length", ("time", "batch"), "positive", "S", "positions held in the key-value cache", 0.0),
    ("cache_bytes", "Cache bytes", ("time", "batch"), "positive", "B", "bytes of keys and values held per item", 0.0),
    (
        "visible_memory",
        "Visible memory",
        ("time", "batch", "read_position", "word"),
        "signed",
        "M̃",
        "the rows that were read",
    ),
    (
        "write_interpolation",
        "Write interpolation",
        ("time", "batch", "write_position"),
        "gate",
        "γ",
        "write where was read (1) or to the least used slot (0)",
        0.0,
        1.0,
    ),
    (
        "last_access",
        "Last access",
        ("time", "batch", "slot"),
        "positive",
        "U",
        "time since a slot was last touched, as the model counts it",
    ),
    (
        "surprise_loss",
        "Surprise",
        _HEAD,
        "positive",
        "ℓ",
        "error of the fast weights in recalling each value, before the update",
        0.0,
    ),
    ("step_size", "Step size", _HEAD, "positive", "θ", "how far each token is learned", 0.0),
    ("momentum_gate", "Momentum gate", _HEAD, "gate", "η", "how much of past surprise is carried on", 0.0, 1.0),
    ("decay_gate", "Decay gate", _HEAD, "gate", "α", "how far the fast weights are forgotten", 0.0, 1.0),
    (
        "gradient_norm",
        "Gradient norm",
        _HEAD,
        "positive",
        "‖θ∇ℓ‖",
        "momentary surprise: size of the gradient step",
        0.0,
    ),
    ("momentum_norm", "Momentum norm", _HEAD, "positive", "‖S‖", "size of momentary and past surprise together", 0.0),
    ("update_norm", "Update norm", _HEAD, "positive", "‖ΔM‖", "how far the fast weights moved", 0.0),
    ("weight_norm", "Weight norm", _HEAD, "positive", "‖M‖", "size of the fast weights", 0.0),
    ("fast_keys", "Fast keys", _ROW, "signed", "k", "where in the fast weights each value is stored"),
    ("fast_values", "Fast values", _COLUMN, "signed", "v", "what is stored in the fast weights"),
    ("fast_queries", "Fast queries", _ROW, "signed", "q", "where in the fast weights is read"),
    ("fast_rates", "Fast rates", _HEAD, "positive", "β", "how far a value replaces what its key holds", 0.0),
    ("fast_decay", "Fast decay", _ROW, "gate", "Λ", "how far each row stays (1) or is forgotten (0)", 0.0, 1.0),
    ("fast_reads", "Fast reads", _COLUMN, "signed", "Mᵀq", "what each query reads"),
    (
        "fast_weights",
        "Fast weights",
        ("time", "batch", "head", "row", "column"),
        "signed",
        "M",
        "a weight matrix that the model learns while it reads",
    ),
)
