"""Tiles: codes as docs/api.md says, statistics from exact values, and an envelope that a browser can read."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memviz.dashboards.tiles import Code, Tile, encode, envelope, extent, scale_of, spread, statistics, tile

ANY = st.floats(width=32)
WEIGHTS = hnp.arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 6)), elements=st.floats(0, 1))


def code_of(value, vmin, vmax):
    """The code of one value, case by case from docs/api.md."""
    if math.isnan(value):
        return 255
    if math.isinf(value):
        return 253 if value > 0 else 252
    half = (vmax - vmin) / 248 / 2
    if value < vmin - half:
        return 249
    if value > vmax + half:
        return 250
    return min(range(249), key=lambda code: abs(vmin + code / 248 * (vmax - vmin) - value))


@given(
    values=st.lists(st.one_of(st.floats(-2, 2, width=32), ANY), min_size=1, max_size=20),
    scale=st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-0.25, 0.25), (0.0, 30.0)]),
)
def test_codes_are_those_of_the_documentation(values, scale):
    codes = encode(np.array(values, np.float32), *scale)
    for value, code in zip(values, codes.tolist(), strict=True):
        expected = code_of(value, *scale)
        # Exactly between two codes either is right.
        if expected <= 248 and code <= 248:
            step = (scale[1] - scale[0]) / 248
            assert abs(scale[0] + code * step - value) <= step * 0.5001
        elif expected in (249, 250) or code in (249, 250):
            edge = scale[0] if 249 in (expected, code) else scale[1]
            assert expected == code or abs(abs(value - edge) * 248 / (scale[1] - scale[0]) - 0.5) < 1e-4
        else:
            assert code == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0.0, 0),
        (1.0, 248),
        (0.5, 124),
        (1.0000001, 248),
        (-1e-9, 0),
        (1.01, 250),
        (-0.01, 249),
        (math.nan, 255),
        (math.inf, 253),
        (-math.inf, 252),
    ],
)
def test_codes_of_a_weight(value, code):
    assert encode(np.array([value], np.float32), 0.0, 1.0).tolist() == [code]


def test_no_number_gets_a_code_that_means_something_else():
    values = np.linspace(-5, 5, 100_001, dtype=np.float32)
    assert not set(encode(values, -1.0, 1.0).tolist()) & {Code.MISSING, Code.NAN, 252, 253, 254}


@pytest.mark.parametrize("reach", [1e-300, 1e-40, 1e-12, 1.0, 1e30, 3e38, 1e307])
def test_any_magnitude_can_be_drawn(reach):
    values = np.array([-reach, -reach / 2, 0.0, reach / 2, reach])
    vmin, vmax = scale_of("signed", values)
    assert np.isfinite([vmin, vmax]).all()
    np.testing.assert_array_equal(encode(values, vmin, vmax), [0, 62, 124, 186, 248] if reach > 1e-290 else [124] * 5)
    if 1e-37 < reach < 3.1e38:
        np.testing.assert_array_equal(encode(values.astype(np.float32), vmin, vmax), [0, 62, 124, 186, 248])


@given(values=hnp.arrays(np.float32, st.integers(0, 30), elements=ANY), kind=st.sampled_from(["signed", "positive"]))
def test_the_scale_holds_every_finite_value(values, kind):
    vmin, vmax = scale_of(kind, values)
    finite = [float(v) for v in values if math.isfinite(v)]
    assert vmin < vmax
    assert (vmin == -vmax) if kind == "signed" else (vmin == 0)
    if finite and (kind == "signed" or max(finite) > 0):
        reach = max(map(abs, finite)) if kind == "signed" else max(finite)
        assert vmax == reach or reach == 0
    assert extent(values) == ((min(finite), max(finite)) if finite else (math.inf, -math.inf))


@pytest.mark.parametrize("kind", ["weight", "gate", "mode"])
def test_shares_have_a_fixed_scale(kind):
    assert scale_of(kind, np.array([0.2, 0.3])) == (0.0, 1.0)


@given(WEIGHTS)
def test_statistics_of_weights_against_their_definitions(values):
    stats = statistics(values.astype(np.float32), "weight")
    for t, column in enumerate(values.astype(np.float32).astype(np.float64).T):
        assert column[stats["peak_slot"][t]] == max(column)
        assert stats["peak"][t] == pytest.approx(max(column), rel=1e-6)
        assert stats["mass"][t] == pytest.approx(math.fsum(column), rel=1e-6, abs=1e-12)
        assert stats["mean"][t] == pytest.approx(math.fsum(column) / len(column), rel=1e-6, abs=1e-12)
        if math.fsum(column) == 0:
            assert stats["n_eff"][t] is None
        else:
            shares = [v / math.fsum(column) for v in column]
            entropy = -math.fsum(s * math.log(s) for s in shares if s > 0)
            assert stats["n_eff"][t] == pytest.approx(math.exp(entropy), rel=1e-5)


def test_the_effective_number_runs_from_one_to_all():
    one_hot, even = np.eye(8)[:, :1], np.full((8, 1), 0.05)
    np.testing.assert_allclose(spread(np.concatenate([one_hot, even, np.zeros((8, 1))], axis=1)), [1, 8, 0])
    assert np.isnan(spread(np.array([[0.5], [np.nan]])))


def test_statistics_point_at_a_nan():
    stats = statistics(np.array([[0.2, 0.9], [math.nan, 0.1], [0.5, 0.0]], np.float32), "weight")
    assert stats["peak_slot"] == [1, 0]
    assert stats["peak"][0] == stats["mass"][0] == stats["mean"][0] == stats["n_eff"][0] == "NaN"


def test_statistics_of_signed_rows_go_by_magnitude_and_have_no_mass():
    stats = statistics(np.array([[0.5, -0.1], [-2.0, 0.0]], np.float32), "signed")
    assert (stats["peak_slot"], stats["peak"]) == ([1, 0], [-2.0, pytest.approx(-0.1)])
    assert set(stats) == {"mean", "peak_slot", "peak"}
    assert statistics(np.array([[0.25, 0.5]], np.float32), "gate") == {"mean": [0.25, 0.5]}


def parse(data):
    """Read an envelope as docs/api.md describes it."""
    assert data[:4] == b"MVF1"
    (length,) = struct.unpack("<I", data[4:8])
    assert length % 8 == 0
    return json.loads(data[8 : 8 + length]), data[8 + length :]


@given(st.lists(hnp.arrays(np.uint8, st.tuples(st.integers(0, 9), st.integers(0, 9))), max_size=5), st.text(max_size=9))
def test_an_envelope_gives_its_tiles_back(arrays, text):
    tiles = [Tile({"id": str(i), "rows": a.shape[0], "cols": a.shape[1]}, a) for i, a in enumerate(arrays)]
    head, body = parse(envelope({"name": text}, tiles))
    assert head["name"] == text
    assert len(body) == sum(a.size for a in arrays)
    for meta, array in zip(head["tiles"], arrays, strict=True):
        codes = np.frombuffer(body, np.uint8, meta["rows"] * meta["cols"], meta["offset"])
        np.testing.assert_array_equal(codes.reshape(meta["rows"], meta["cols"]), array)


def test_an_envelope_refuses_numbers_that_json_cannot_hold():
    with pytest.raises(ValueError):
        envelope({"bad": math.nan}, [])


def test_a_tile_says_what_was_pooled_away():
    values = np.zeros((100, 300), np.float32)
    values[57, 123] = -3.0
    made = tile(values, {"kind": "signed"}, scale_of("signed", values), 32, 64)
    assert (made.meta["rows"], made.meta["cols"], made.meta["full_rows"], made.meta["full_cols"]) == (32, 64, 100, 300)
    assert (made.meta["low"], made.meta["high"], made.meta["vmin"], made.meta["vmax"]) == (-3.0, 0.0, -3.0, 3.0)
    assert (made.codes == 0).sum() == 1
    assert made.codes.shape == (32, 64)
