"""The episodic attention of dynamic memory networks: what an episode really keeps of each fact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.finding import Place
from memviz.analysis.diagnostics.stats import EMPTY, percent, places
from memviz.analysis.episodes import divergence, effective_gates
from memviz.analysis.story_labels import supporting_facts

_SOURCE = "Kumar et al. 2016: h_i = g_i GRU(f_i, h) + (1 - g_i) h, unrolled over the facts"


def _effective(view: MemoryView) -> tuple[Array, Array]:
    """What each hop keeps of each fact [hop, batch, fact], and of what it started from [hop, batch]."""
    return effective_gates(view["episodic_attention"], str(view.schema.attributes.get("episode", "gated")))


def leftover(view: MemoryView) -> Iterator[Measure]:
    """The largest share of an episode that is still its initial state."""
    _, rest = _effective(view)
    values = rest.max(axis=0)
    hops = [int(hop) for hop in rest.argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"Hop {hops[item]} hardly looks at the facts: {percent(values[item])} of the episode is its initial state."
        )

    yield Measure(values, places("episodic_attention", hops), say)


LEFTOVER_EPISODE = Diagnostic(
    name="leftover_episode",
    title="An episode keeps its initial state",
    formula="max over hops of Π_i (1 - g_i)",
    needs=("episodic_attention",),
    measure=leftover,
    levels={"warning": 0.5, "error": 0.95},
    source=_SOURCE,
    suggestion="Look at the inputs of the gates; with all of them shut the hop adds nothing to the answer.",
    order=50,
    family=19,
)


def redundant(view: MemoryView) -> Iterator[Measure]:
    """How alike the most different two hops are: 1 minus the Jensen-Shannon divergence in bits."""
    gates = view["episodic_attention"]
    if len(gates) < 2:
        return
    kept, rest = _effective(view)
    p = np.concatenate([kept, rest[..., None]], axis=-1)
    alike = np.ones(p.shape[1])
    for a in range(len(p)):
        for b in range(a):
            alike = np.minimum(alike, 1 - divergence(p[a], p[b]))

    def say(item: int) -> str:
        return f"All {len(gates)} hops look at the same facts ({percent(alike[item])} alike), so one would do."

    yield Measure(alike, [Place("episodic_attention", 1)] * len(alike), say)


REDUNDANT_HOPS = Diagnostic(
    name="redundant_hops",
    title="All hops look at the same facts",
    formula="min over pairs of hops of 1 - JS(E_a, E_b) in bits, E with the leftover as one more fact",
    needs=("episodic_attention",),
    measure=redundant,
    levels={"note": 0.98},
    source=_SOURCE,
    suggestion="Fine for questions that need one fact. For others, check that the memory of a hop reaches the gates of "
    "the next.",
    order=60,
    family=19,
)


def eclipsed(view: MemoryView) -> Iterator[Measure]:
    """How much of the fact with the largest gate later facts overwrite."""
    gates = view["episodic_attention"]
    kept, _ = _effective(view)
    top = gates.argmax(axis=-1)[..., None]
    raw, left = np.take_along_axis(gates, top, axis=-1)[..., 0], np.take_along_axis(kept, top, axis=-1)[..., 0]
    lost = np.where(raw > 0.5, 1 - left / np.maximum(raw, EMPTY), np.nan)
    worst = np.where(np.isnan(lost), -np.inf, lost)
    values = np.where(np.isinf(worst.max(axis=0)), np.nan, worst.max(axis=0))
    hops = [int(hop) for hop in worst.argmax(axis=0)]
    facts = [int(top[hop, item, 0]) for item, hop in enumerate(hops)]

    def say(item: int) -> str:
        hop, fact = hops[item], facts[item]
        return (
            f"Fact {fact} has the largest gate of hop {hop}, {raw[hop, item]:.2f}, and later facts leave only "
            f"{left[hop, item]:.2f} of it in the episode."
        )

    yield Measure(values, places("episodic_attention", hops, facts), say)


ECLIPSED_FACT = Diagnostic(
    name="eclipsed_fact",
    title="The fact with the largest gate is overwritten by later ones",
    formula="max over hops of 1 - E_s / g_s for the fact s with the largest gate, where g_s > 0.5",
    needs=("episodic_attention",),
    measure=eclipsed,
    levels={"warning": 0.5},
    source=_SOURCE,
    suggestion="Rank facts by the effective gate E, not by g; train with gates that close after the fact, or use a "
    "soft attention over facts instead of a gated GRU.",
    order=55,
    family=19,
)


def missed(view: MemoryView) -> Iterator[Measure]:
    """The share of the supporting facts that are not among the facts that the hops keep most of.

    Of n supporting facts those count as found that are among the n facts with the largest effective gate of any hop.
    """
    effective = _effective(view)[0]
    kept = effective.max(axis=0)
    supporting = supporting_facts(view.record.labels, _batch(view, len(kept)), kept.shape[1])
    if not any(supporting):
        return
    values = np.full(len(kept), np.nan)
    lost: list[list[int]] = []
    worst = []
    for item, facts in enumerate(supporting):
        found = np.argsort(-kept[item], kind="stable")[: len(facts)]
        lost.append([fact for fact in facts if fact not in found])
        worst.append(min(lost[item] or facts or (0,), key=kept[item].__getitem__))
        if facts:
            values[item] = len(lost[item]) / len(facts)
    hops = [int(effective[:, item, fact].argmax()) for item, fact in enumerate(worst)]

    def say(item: int) -> str:
        return (
            f"{len(lost[item])} of the {len(supporting[item])} facts that the answer rests on are not among those that "
            f"the hops keep most of; of fact {worst[item]} no hop keeps more than {kept[item, worst[item]]:.2f}."
        )

    yield Measure(values, places("episodic_attention", hops, worst), say)


def _batch(view: MemoryView, items: int) -> Sequence[int]:
    """Positions in the training batch of the items; an ArrayRecord has none."""
    batch = tuple(getattr(view.record, "batch", ()))
    return batch if len(batch) == items else range(items)


MISSED_FACTS = Diagnostic(
    name="missed_supporting_facts",
    title="The hops do not keep the facts that the answer rests on",
    formula="1 - share of the label `supporting` among the facts with the largest max over hops of E",
    needs=("episodic_attention",),
    measure=missed,
    levels={"note": 0.01, "warning": 0.5},
    source=_SOURCE + "; supporting facts: Weston et al. 2015",
    suggestion="A right answer may come from elsewhere, such as the commonest answer. Let the gates learn from the "
    "supporting facts (demo babi, supervision), or give the network more hops.",
    order=45,
    family=19,
)
