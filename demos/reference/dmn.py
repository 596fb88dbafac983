"""Dynamic memory networks in numpy float64, a fact and a word at a time: the yardstick for model and recordings.

Written from Kumar et al. 2016, section 2, and, for what is named so, from the YerevaNN networks and from Xiong et al.
2016 (DMN+), sharing no code with `memviz.demos.models`. A GRU is that of Cho et al. 2014 in torch's parameter layout:
r, z = sigmoid(W x + b + U h + d); n = tanh(W x + b + r (U h + d)); h' = (1 - z) n + z h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Network:
    """What a network is made of; the options of `memviz.demos.models.dmn.DMN` by the same names.

    Attributes:
        weights: parameters by the names of its `state_dict()`.
    """

    weights: Weights
    attention: str
    normalise: str
    encoder: str
    mask: str
    episode: str
    memory: str
    answer: str
    answer_steps: int
    sees_question: bool
    hops: int
    batch_norm: bool


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x over a vector."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def gru(x: Array, h: Array, weights: Weights, prefix: str, suffix: str = "") -> Array:
    """One time of a GRU: x [input], h [dim]."""
    return _gru(x, h, weights, prefix, suffix)[0]


def _gru(x: Array, h: Array, weights: Weights, prefix: str, suffix: str = "") -> tuple[Array, Array]:
    """The next state, and the new value n that it goes towards."""
    given = weights[f"{prefix}weight_ih{suffix}"] @ x + weights[f"{prefix}bias_ih{suffix}"]
    kept = weights[f"{prefix}weight_hh{suffix}"] @ h + weights[f"{prefix}bias_hh{suffix}"]
    (r_x, z_x, n_x), (r_h, z_h, n_h) = given.reshape(3, -1), kept.reshape(3, -1)
    new = np.tanh(n_x + sigmoid(r_x + r_h) * n_h)
    z = sigmoid(z_x + z_h)
    return (1 - z) * new + z * h, new


def read_words(words: Sequence[int], weights: Weights, prefix: str) -> list[Array]:
    """What a GRU holds after each word."""
    h = np.zeros(weights[f"{prefix}weight_hh_l0"].shape[1])
    states = []
    for word in words:
        h = gru(weights["words.weight"][word], h, weights, prefix, "_l0")
        states.append(h)
    return states


def encode(facts: Sequence[Sequence[int]], question: Sequence[int], net: Network) -> tuple[list[Array], Array]:
    """Vectors of the facts and of the question."""
    w = net.weights
    if net.encoder == "recurrent":
        states = read_words([word for fact in facts for word in fact], w, "input.gru.")
        asked = read_words(question, w, "input.gru.")[-1]
        if net.mask == "word":
            return states, asked
        ends = np.cumsum([len(fact) for fact in facts]) - 1
        return [states[end] for end in ends], asked

    # DMN+: words weighted by position, then a GRU over the facts in both directions.
    sentences = []
    for fact in facts:
        vectors = [w["words.weight"][word] for word in fact]
        d = np.arange(1, len(vectors[0]) + 1) / len(vectors[0])
        total = np.zeros(len(vectors[0]))
        for j, vector in enumerate(vectors, start=1):
            part = j / len(vectors)
            total += ((1 - part) - d * (1 - 2 * part)) * vector
        sentences.append(total)
    dim = w["input.fusion.weight_hh_l0"].shape[1]
    forward, backward = np.zeros(dim), np.zeros(dim)
    ahead, behind = [], []
    for sentence in sentences:
        forward = gru(sentence, forward, w, "input.fusion.", "_l0")
        ahead.append(forward)
    for sentence in reversed(sentences):
        backward = gru(sentence, backward, w, "input.fusion.", "_l0_reverse")
        behind.append(backward)
    vectors = [a + b for a, b in zip(ahead, reversed(behind), strict=True)]
    return vectors, read_words(question, w, "input.question.")[-1]


def features(f: Array, m: Array, q: Array, net: Network) -> Array:
    """The features z of one fact (Kumar et al. 2016, eq. 7, and its variants)."""
    if net.attention == "smooth":
        return np.concatenate([f, m, q, f * q, f * m, (f - q) ** 2, (f - m) ** 2])
    apart = [f * q, f * m, np.abs(f - q), np.abs(f - m)]
    if net.attention == "plus":
        return np.concatenate(apart)
    bilinear = net.weights["gates.bilinear"]
    return np.concatenate([f, m, q, *apart, [f @ bilinear @ q], [f @ bilinear @ m]])


def fact_gates(facts: Sequence[Array], m: Array, q: Array, net: Network) -> Array:
    """The gates g of all facts."""
    w = net.weights
    scores = []
    for f in facts:
        hidden = np.tanh(w["gates.first.weight"] @ features(f, m, q, net) + w["gates.first.bias"])
        scores.append((w["gates.second.weight"] @ hidden + w["gates.second.bias"]).item())
    if net.normalise == "scores":
        return softmax(np.array(scores))
    gates = sigmoid(np.array(scores))
    return softmax(gates) if net.normalise == "gates" else gates


def summed(facts: Sequence[Array], gates: Array, net: Network) -> tuple[Array, Array]:
    """The episode [dim] and what each fact offered it [fact, dim]."""
    if net.episode == "soft":
        total = np.zeros(len(facts[0]))
        for f, g in zip(facts, gates, strict=True):
            total = total + g * f
        return total, np.array(facts)
    prefix = "gru." if net.memory == "tied" else "memory.gru."
    h = np.zeros(len(facts[0]))
    offered = []
    for f, g in zip(facts, gates, strict=True):
        after, new = _gru(f, h, net.weights, prefix)
        candidate = after if net.episode == "gated" else new
        h = g * candidate + (1 - g) * h
        offered.append(candidate)
    return h, np.array(offered)


def updated(hop: int, m: Array, e: Array, q: Array, net: Network) -> Array:
    """The memory after an episode."""
    w = net.weights
    if net.memory != "relu":
        return gru(e, m, w, "gru.")
    raw = w[f"update.{hop}.weight"] @ np.concatenate([m, e, q]) + w[f"update.{hop}.bias"]
    return np.asarray(np.maximum(raw, 0))


def answered(m: Array, q: Array, net: Network) -> Array:
    """Scores of the answers, in evaluation."""
    w = net.weights
    if net.batch_norm:
        spread = np.sqrt(w["finish.norm.running_var"] + 1e-5)
        m = (m - w["finish.norm.running_mean"]) / spread * w["finish.norm.weight"] + w["finish.norm.bias"]

    def scores(state: Array) -> Array:
        seen = np.concatenate([state, q]) if net.sees_question else state
        plain = w["finish.linear.weight"] @ seen
        return np.asarray(plain + w["finish.linear.bias"] if net.sees_question else plain)

    if net.answer == "feedforward":
        return scores(m)
    state, given, found = m, np.zeros(len(w["finish.linear.weight"])), np.zeros(0)
    for _ in range(net.answer_steps):
        state = gru(np.concatenate([given, q]), state, w, "finish.gru.")
        found = scores(state)
        given = softmax(found)
    return found


def run(facts: Sequence[Sequence[int]], question: Sequence[int], net: Network) -> dict[str, Array]:
    """A whole network on one story.

    Args:
        facts: the numbers of the words of each fact, without padding.
        question: the numbers of its words.
        net: the network.

    Returns:
        `episodic_attention` [hop, fact], `episode_candidates` [hop, fact, dim], `episode` [hop, dim],
        `answer_probabilities` [hop, answer], and `answer` [answer], the scores after the last hop.
    """
    vectors, q = encode(facts, question, net)
    m, hops = q, []
    for hop in range(net.hops):
        gates = fact_gates(vectors, m, q, net)
        e, offered = summed(vectors, gates, net)
        m = updated(hop, m, e, q, net)
        hops.append((gates, offered, e, softmax(answered(m, q, net))))
    names = ("episodic_attention", "episode_candidates", "episode", "answer_probabilities")
    fields = {name: np.array(values) for name, values in zip(names, zip(*hops, strict=True), strict=True)}
    return fields | {"answer": answered(m, q, net)}


def loss(facts: Sequence[Sequence[int]], question: Sequence[int], answer: int, net: Network) -> float:
    """The cross-entropy of an answer, in nats."""
    return float(-np.log(softmax(run(facts, question, net)["answer"])[answer]))
