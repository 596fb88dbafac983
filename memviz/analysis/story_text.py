"""A story in sentences: what was kept, what the gates alone would have said, whether the hops do different things."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from memviz.analysis.stories import APART, MOST, SAME, Story

SHORT = 60
"""Characters of a fact within a sentence."""


def kept_text(story: Story) -> str:
    """Which facts the hops really kept."""
    if not story.finite:
        return "Some gates are not numbers, so it cannot be told what was kept."
    groups: dict[tuple[str, int], list[int]] = {}
    for hop in range(story.hops):
        groups.setdefault(_outcome(story, hop), []).append(hop)
    parts = [_kept(story, kind, fact, hops) for (kind, fact), hops in groups.items()]
    return _sentence(parts)


def _outcome(story: Story, hop: int) -> tuple[str, int]:
    """What a hop did: kept one fact, none, or some of several."""
    fact = int(story.most[hop])
    if story.effective[hop, fact] >= MOST:
        return "kept", fact
    return ("nothing", -1) if story.left[hop] >= MOST else ("spread", fact)


def _kept(story: Story, kind: str, fact: int, hops: Sequence[int]) -> str:
    who = _hops(hops)
    verb = ("keeps", "keep")[len(hops) > 1]
    if kind == "nothing":
        return f"{who} {verb} no fact (more than {_share(min(story.left[hop] for hop in hops))} is the initial state)"
    share = _shares([float(story.effective[hop, fact]) for hop in hops])
    if kind == "spread":
        return f"{who} {verb} parts of several facts, most of fact {fact} ({share})"
    return f"{who} {verb} fact {fact}{_quoted(story, fact)} ({share})"


def gate_text(story: Story) -> str:
    """Where a ranking by the gates alone would go wrong."""
    if not story.finite:
        return ""
    if story.episode == "sum":
        return "The episode is a weighted sum over the facts, so the gate is what it keeps."
    wrong = [
        hop
        for hop in range(story.hops)
        if story.opened[hop] != story.most[hop] and story.gates[hop, story.opened[hop]] >= MOST
    ]
    parts = []
    for hop in wrong:
        fact = int(story.opened[hop])
        parts.append(
            f"hop {hop} opens its gate widest for fact {fact} ({story.gates[hop, fact]:.2f}), of which later facts "
            f"leave {story.effective[hop, fact]:.2f}"
        )
    if parts:
        return f"{_sentence(parts)} Ranking by the gate would name the wrong source."
    if story.eclipsed:
        return f"The widest gates are those of the facts kept most, but {_eclipses(story)}."
    return "Gate and effective gate name the same facts."


def _eclipses(story: Story) -> str:
    by_hop: dict[int, list[int]] = {}
    for eclipse in story.eclipsed:
        by_hop.setdefault(eclipse.hop, []).append(eclipse.fact)
    parts = [f"{_facts(facts)} at hop {hop}" for hop, facts in by_hop.items()]
    return f"{'; '.join(parts)} {'is' if len(story.eclipsed) == 1 else 'are'} eclipsed by later ones"


def hops_text(story: Story) -> str:
    """Whether the hops do different things."""
    if story.hops < 2:
        return "There is one hop, so there is nothing to compare."
    if not story.finite:
        return "Some gates are not numbers, so the hops cannot be compared."
    bits = {pair: float(story.divergence[pair]) for pair in combinations(range(story.hops), 2)}
    far, near = max(bits, key=lambda pair: bits[pair]), min(bits, key=lambda pair: bits[pair])
    if bits[far] <= SAME:
        who = "Both hops do" if story.hops == 2 else f"All {story.hops} hops do"
        return f"{who} the same ({bits[far]:.3f} bit apart at most), so one would do."
    if bits[near] >= APART:
        each = f"{bits[near]:.2f} bit apart" if story.hops == 2 else f"each two are at least {bits[near]:.2f} bit apart"
        return f"The hops do different things: {each}."
    same = [group for group in _alike(story) if len(group) > 1]
    most = f"{far[0]} and {far[1]} are {bits[far]:.2f} bit apart"
    if same:
        return _sentence([f"{' and '.join(_hops(group) for group in same)} do the same", f"hops {most}"])
    return f"The hops do partly different things: hops {most}."


def _alike(story: Story) -> list[list[int]]:
    """Hops in groups that do the same, each like the first of its group."""
    groups: list[list[int]] = []
    for hop in range(story.hops):
        group = next((group for group in groups if story.divergence[group[0], hop] <= SAME), None)
        if group is None:
            groups.append([hop])
        else:
            group.append(hop)
    return groups


def support_text(story: Story) -> str:
    """Whether the facts that the answer rests on are among those kept most."""
    supporting = story.told.supporting
    if supporting is None:
        return "Nobody said which facts the answer rests on (label supporting)."
    if not supporting:
        return "The answer rests on no fact of this story."
    if story.found is None:
        return "Some gates are not numbers, so supporting facts cannot be looked for."
    if not story.missed:
        if len(supporting) == 1:
            return f"The supporting fact, {supporting[0]}, is the one kept most."
        all_of_them = "Both" if len(supporting) == 2 else f"All {len(supporting)}"
        return f"{all_of_them} supporting facts are among those kept most: {_listed(supporting)}."
    kept = story.effective.max(axis=0)
    worst = min(story.missed, key=lambda fact: kept[fact])
    missed = f"{len(story.found)} of {len(supporting)} supporting facts found; {_facts(story.missed)} missed"
    return f"{missed}: of fact {worst} a hop keeps {kept[worst]:.2f} at most, and of others more."


def answer_text(story: Story) -> str:
    """The answer and what was expected, in a few words."""
    told = story.told
    if told.right is not None and told.predicted:
        if told.right:
            return f"{told.predicted}, as expected"
        return f"{told.predicted}, but {told.answer} was right" if told.answer else f"{told.predicted}, which is wrong"
    if told.predicted:
        return f"{told.predicted}; the right answer is not labelled"
    if told.right is not None:
        return "right" if told.right else "wrong"
    return f"not recorded; {told.answer} is right" if told.answer else "not recorded"


def story_text(story: Story) -> str:
    """All of it, one sentence a line."""
    asked = [f"“{story.told.question}”: {answer_text(story)}."] if story.told.question else []
    return "\n".join(
        text for text in (*asked, kept_text(story), gate_text(story), hops_text(story), support_text(story)) if text
    )


def _quoted(story: Story, fact: int) -> str:
    if fact >= len(story.told.facts):
        return ""
    text = story.told.facts[fact].rstrip(". ")
    return f" “{text if len(text) <= SHORT else text[: SHORT - 1] + '…'}”"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _shares(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _hops(hops: Sequence[int]) -> str:
    return f"hop {hops[0]}" if len(hops) == 1 else f"hops {_listed(hops)}"


def _facts(facts: Sequence[int]) -> str:
    return f"fact {facts[0]}" if len(facts) == 1 else f"facts {_listed(facts)}"


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) < 2:
        return str(numbers[0]) if numbers else "none"
    return f"{', '.join(str(n) for n in numbers[:-1])} and {numbers[-1]}"


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
