"""The dynamic memory network for multiple choice in numpy float64, a choice and a fact at a time.

Written from the description of YerevaNN's draft (dmn_qa) and Kumar et al. 2016, section 2, sharing no code with
`memviz.demos.models`; the GRUs and episodes are those of memviz.demos.reference.dmn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memviz.demos.reference.dmn import Array, Network, Weights, encode, gru, read_words, sigmoid, softmax, summed


def network(weights: Weights, *, encoder: str, mask: str, normalise: str, episode: str, hops: int) -> Network:
    """The parts that it has in common with a dynamic memory network, as such a one."""
    return Network(
        weights,
        attention="",
        normalise=normalise,
        encoder=encoder,
        mask=mask,
        episode=episode,
        memory="tied",
        answer="feedforward",
        answer_steps=1,
        sees_question=False,
        hops=hops,
        batch_norm=False,
    )


def choice_gates(facts: Sequence[Array], m: Array, q: Array, c: Array, net: Network) -> Array:
    """The gates g of all facts for one choice c."""
    w = net.weights
    bilinear = w["gates.bilinear"]
    scores = []
    for f in facts:
        matches = [[f @ bilinear @ q], [f @ bilinear @ m], [f @ bilinear @ c]]
        z = np.concatenate([f, m, q, c, f * q, f * m, f * c, f - q, f - m, f - c, *matches])
        hidden = np.tanh(w["gates.first.weight"] @ z + w["gates.first.bias"])
        scores.append((w["gates.second.weight"] @ hidden + w["gates.second.bias"]).item())
    if net.normalise == "scores":
        return softmax(np.array(scores))
    gates = sigmoid(np.array(scores))
    return softmax(gates) if net.normalise == "gates" else gates


def answered(memories: Sequence[Array], choices: Sequence[Array], net: Network, answer: str) -> Array:
    """Scores of the choices from their memories."""
    matrix = net.weights["linear.weight"]
    if answer == "match":
        return np.array([c @ matrix @ m for m, c in zip(memories, choices, strict=True)])
    if answer == "each":
        return np.array([(matrix @ m).item() for m in memories])
    return np.asarray(matrix @ np.concatenate(memories))


def run(
    facts: Sequence[Sequence[int]],
    question: Sequence[int],
    choices: Sequence[Sequence[int]],
    net: Network,
    answer: str = "joint",
) -> dict[str, Array]:
    """A whole network on one story.

    Args:
        facts: the numbers of the words of each fact, without padding.
        question: the numbers of its words.
        choices: the numbers of the words of each choice.
        net: the network, as `network` gives it.
        answer: "joint", "each" or "match".

    Returns:
        `episodic_attention` [choice, hop, fact], `episode` [choice, hop, dim], `answer_probabilities` [hop, choice] and
        `answer` [choice], the scores after the last hop.
    """
    vectors, q = encode(facts, question, net)
    reader = "input.gru." if net.encoder == "recurrent" else "input.question."
    offered = [read_words(choice, net.weights, reader)[-1] for choice in choices]
    memories = [q for _ in choices]
    gates: list[list[Array]] = [[] for _ in choices]
    episodes: list[list[Array]] = [[] for _ in choices]
    hops = []
    for _ in range(net.hops):
        for number, c in enumerate(offered):
            g = choice_gates(vectors, memories[number], q, c, net)
            e, _ = summed(vectors, g, net)
            memories[number] = gru(e, memories[number], net.weights, "gru.")
            gates[number].append(g)
            episodes[number].append(e)
        hops.append(softmax(answered(memories, offered, net, answer)))
    return {
        "episodic_attention": np.array(gates),
        "episode": np.array(episodes),
        "answer_probabilities": np.array(hops),
        "answer": answered(memories, offered, net, answer),
    }
