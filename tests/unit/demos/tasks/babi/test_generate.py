"""Made stories: an independent solver that sees a question and its supporting facts alone finds the same answer.

The solver knows nothing of the world that made the stories, only what the sentences mean, and it answers the published
stories as well: the two are of the same language.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from memviz.demos.tasks.babi.families import FAMILIES, recognise
from memviz.demos.tasks.babi.files import read_files
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.vocabulary import Vocabulary, words_of

PUBLISHED = Path(__file__).parents[6] / "shared" / "data" / "babi" / "babi_all_shuffles.tar.gz"
needs_published = pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/data/babi")

GO = r"(?:went|went back|journeyed|travelled|moved) to"
TAKE = r"(?:got|took|grabbed|picked up)"
DROP = r"(?:left|dropped|discarded|put down)"
GIVE = r"(?:gave|passed|handed)"
OFFSETS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
SIDES = {"above": (0, 1), "below": (0, -1), "to the left of": (-1, 0), "to the right of": (1, 0)}
TIMES = ("yesterday", "this morning", "this afternoon", "this evening")
ONE = {"mice": "mouse", "wolves": "wolf", "cats": "cat", "sheep": "sheep"}
WANTS = {
    "thirsty": ("kitchen", "milk"),
    "hungry": ("kitchen", "apple"),
    "tired": ("bedroom", "pajamas"),
    "bored": ("garden", "football"),
}
NUMBERS = ("none", "one", "two", "three", "four", "five", "six")


def found(pattern, texts):
    """What the groups of a pattern are in each text that it fits in whole."""
    return [match.groups() for text in texts if (match := re.fullmatch(pattern, text))]


def carried(facts, who):
    """What someone has, in the order of getting it, if nothing else ever happened."""
    has = []
    for fact in facts:
        for (thing,) in found(rf"{who} {TAKE} the (\w+)(?: there)?", [fact]):
            has.append(thing)
        for (thing,) in found(rf"\w+ {GIVE} the (\w+) to {who}", [fact]):
            has.append(thing)
        for (thing,) in found(rf"{who} (?:{DROP}|{GIVE}) the (\w+)(?: there| to \w+)?", [fact]):
            has.remove(thing)
    return has


def last_move(facts):
    return found(rf".*?{GO} the (\w+)", facts)[-1][0]


def where_was_thing(facts, now):
    """Task 3: the two moves of whoever carried it."""
    *_, before, after = found(rf"\w+ {GO} the (\w+)", facts)
    assert after == (now,), "the last move leads to where it is"
    return before[0]


def neighbour(facts, direction, place):
    x, y = OFFSETS[direction]
    for a, way, b in found(r"the (\w+) is (\w+) of the (\w+)", facts):
        if (b, OFFSETS[way]) == (place, (x, y)):
            return a
        if (a, OFFSETS[way]) == (place, (-x, -y)):
            return b
    raise AssertionError(facts)


def gift(facts, question):
    ((giver, thing, receiver),) = found(rf"(\w+) {GIVE} the (\w+) to (\w+)", facts)
    if question.startswith("what did"):
        return thing
    return receiver if question.startswith(("who did", "who received")) else giver


def is_there(facts, who, place):
    fact = facts[-1]
    if found(rf"{who} is (?:no longer|not) in the \w+", [fact]):
        return "no"
    if either := found(rf"{who} is either in the (\w+) or the (\w+)", [fact]):
        return "maybe" if place in either[0] else "no"
    ((at,),) = found(rf"{who} (?:is in|{GO}) the (\w+)", [fact])
    return "yes" if at == place else "no"


def where_was(facts, place):
    """Task 14: told with times of the day, in any order."""
    visits = {}
    for fact in facts:
        (time,) = (time for time in TIMES if time in fact)
        visits[TIMES.index(time)] = re.search(rf"{GO} the (\w+)", fact)[1]
    order = [visits[time] for time in sorted(visits)]
    return order[order.index(place) - 1]


def fear(facts, who):
    ((kind,),) = found(rf"{who} is an? (\w+)", facts)
    return next(ONE[feared] for kinds, feared in found(r"(\w+) are afraid of (\w+)", facts) if ONE[kinds] == kind)


def color(facts, who):
    kinds = dict(found(r"(\w+) is an? (\w+)", facts))
    colors = dict(found(r"(\w+) is (\w+)", facts))
    return next(colors[other] for other, kind in kinds.items() if other in colors and kind == kinds[who])


def lies(facts, a, side, b):
    """Task 17: two relations to a third thing add up, axis by axis."""
    names = "|".join(map(re.escape, SIDES))
    at, told = {}, found(rf"the (.+) is ({names}) the (.+)", facts)
    for _ in told:
        for one, way, other in told:
            x, y = SIDES[way]
            at.setdefault(one, (0, 0) if not at else None)
            if at[one] is None:
                del at[one]
            if other in at:
                at[one] = at[other][0] + x, at[other][1] + y
            elif one in at:
                at[other] = at[one][0] - x, at[one][1] - y
    x, y = SIDES[side]
    return "yes" if (at[a][0] - at[b][0]) * x + (at[a][1] - at[b][1]) * y > 0 else "no"


def fits(facts, small, big):
    smaller = set(found(r"the (.+) fits inside the (.+)", facts))
    smaller |= {(b, a) for a, b in found(r"the (.+) is bigger than the (.+)", facts)}
    for _ in facts:
        smaller |= {(a, d) for a, b in smaller for c, d in smaller if b == c}
    return "yes" if (small, big) in smaller else "no"


def way(facts, start, stop):
    steps = {}
    for a, direction, b in found(r"the (\w+) is (\w+) of the (\w+)", facts):
        opposite = next(n for n, (x, y) in OFFSETS.items() if (-x, -y) == OFFSETS[direction])
        steps[b, a], steps[a, b] = direction[0], opposite[0]
    return next(
        f"{first},{steps[middle, stop]}"
        for (at, middle), first in steps.items()
        if at == start and (middle, stop) in steps
    )


def motive(facts, question):
    ((state,),) = found(rf"\w+ is ({'|'.join(WANTS)})", facts[:1])
    place, thing = WANTS[state]
    if question.startswith("where"):
        return place
    assert question.endswith((f"to the {place}", f"get the {thing}"))
    return state


SOLVERS = {
    **dict.fromkeys((1, 2, 11, 12, 13), lambda facts, _, *asked: last_move(facts)),
    3: lambda facts, _, thing, now: where_was_thing(facts, now),
    4: lambda facts, question, *asked: relation(facts, question),
    5: lambda facts, question: gift(facts, question),
    **dict.fromkeys((6, 9, 10), lambda facts, _, who, place: is_there(facts, who, place)),
    7: lambda facts, _, who: NUMBERS[len(carried(facts, who))],
    8: lambda facts, _, who: ",".join(carried(facts, who)) or "nothing",
    14: lambda facts, _, who, place: where_was(facts, place),
    15: lambda facts, _, who: fear(facts, who),
    16: lambda facts, _, who: color(facts, who),
    17: lambda facts, _, a, side, b: lies(facts, a, side, b),
    18: lambda facts, question, a, b: fits(facts, *((b, a) if "bigger" in question else (a, b))),
    19: lambda facts, _, start, stop: way(facts, start, stop),
    20: lambda facts, question: motive(facts, question),
}
QUESTIONS = {
    **dict.fromkeys((1, 2, 11, 12, 13), r"where is (?:the )?(\w+)"),
    3: r"where was the (\w+) before the (\w+)",
    4: r"what is .*",
    5: r"(?:who|what) .*",
    **dict.fromkeys((6, 9, 10), r"is (\w+) in the (\w+)"),
    7: r"how many objects is (\w+) carrying",
    8: r"what is (\w+) carrying",
    14: r"where was (\w+) before the (\w+)",
    15: r"what is (\w+) afraid of",
    16: r"what color is (\w+)",
    17: rf"is the (.+) ({'|'.join(SIDES)}) the (.+)",
    18: r"(?:is|does) the (.+) (?:fit in|bigger than) the (.+)",
    19: r"how do you go from the (\w+) to the (\w+)",
    20: r"(?:where|why) .*",
}


def relation(facts, question):
    if asked := re.fullmatch(r"what is (\w+) of the (\w+)", question):
        return neighbour(facts, *asked.groups())
    place, direction = re.fullmatch(r"what is the (\w+) (\w+) of", question).groups()
    opposite = next(n for n, (x, y) in OFFSETS.items() if (-x, -y) == OFFSETS[direction])
    return neighbour(facts, opposite, place)


def plain(sentence):
    return sentence.lower().strip(" .?")


def solve(story):
    """The answer, from the question and the supporting facts in the order of the story."""
    facts = [plain(story.facts[place]) for place in sorted(story.supporting)]
    question = plain(story.question)
    asked = re.fullmatch(QUESTIONS[story.task], question)
    return SOLVERS[story.task](facts, question, *asked.groups())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.slug)
def test_the_supporting_facts_are_enough_to_answer(family):
    for story in generate([family.id], 300, seed=1):
        assert solve(story) == story.answer, story


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.slug)
def test_every_supporting_fact_is_needed(family):
    spared = Counter()
    for story in generate([family.id], 200, seed=2):
        for left_out in story.supporting:
            fewer = tuple(place for place in story.supporting if place != left_out)
            try:
                answer = solve(type(story)(story.task, story.facts, story.question, story.answer, fewer))
            except (AssertionError, LookupError, ValueError, StopIteration):
                answer = None
            spared[answer == story.answer] += 1
    # The solver takes the place from the last move and does not ask who carried the thing (2, 3) or who "he" is (11,
    # 13), and it says "no" of sizes that nothing compares (18).
    assert spared[True] <= {2: 0.5, 3: 0.34, 11: 0.5, 13: 0.5, 18: 0.55}.get(family.id, 0) * sum(spared.values())


@needs_published
def test_the_same_solver_answers_the_published_stories():
    right, asked = Counter(), Counter()
    for story in read_files(PUBLISHED, "test"):
        if asked[story.task] < 100:
            asked[story.task] += 1
            right[story.task] += solve(story) == story.answer
    assert set(asked.values()) == {100}
    assert set(right) == set(asked)
    assert min(right.values()) == 100, right


@needs_published
def test_the_published_stories_are_of_the_generated_language():
    ours = Vocabulary.of(generate(range(1, 21), 1000, seed=1506))
    theirs = Vocabulary.of(read_files(PUBLISHED, "train"))
    assert set(theirs.words) <= set(ours.words)


def test_the_same_seed_makes_the_same_stories_whatever_else_is_made():
    assert generate([1, 5], 20, 3) == generate([1], 20, 3) + generate([5], 20, 3)
    assert generate([1], 20, 3) != generate([1], 20, 4)


def test_as_many_questions_as_asked_for_each_of_its_family():
    made = generate(range(1, 21), 37, 0)
    assert Counter(story.task for story in made) == dict.fromkeys(range(1, 21), 37)
    for story in made:
        assert story.facts
        assert all(0 <= place < len(story.facts) for place in story.supporting)
        assert all(words_of(fact) for fact in story.facts)


def test_a_story_shows_its_family():
    for story in generate(range(1, 21), 100, 5):
        # A telling of task 9 without a single "is" cannot be told from one of task 6, nor one of 10 without its words.
        assert recognise(story.facts, story.question) in {story.task, *((6,) if story.task in {9, 10} else ())}


def test_answers_vary():
    for family in range(1, 21):
        counts = Counter(story.answer for story in generate([family], 500, 6))
        assert len(counts) >= 2
        assert max(counts.values()) < 0.72 * 500, (family, counts)
