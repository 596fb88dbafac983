"""The families of who is where, told in other ways: tasks 9 to 14 of Weston et al. 2015."""

from __future__ import annotations

from random import Random

from memviz.demos.tasks.babi.carrying import GAP, QUESTIONS
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.world import GOES, PEOPLE, PLACES, PRONOUNS, TOWN, TOWNSPEOPLE, Telling

NEXT = ("Then", "After that", "Afterwards", "Following that")
TIMES = ("yesterday", "this morning", "this afternoon", "this evening")


def negation(rng: Random) -> list[Story]:
    """Task 9: people are said to be in a place, not in it, or no longer in it."""
    telling = Telling(9, rng)
    known: dict[str, tuple[str, bool, int]] = {}
    while len(telling.stories) < QUESTIONS:
        for _ in range(GAP):
            person, place = rng.choice(PEOPLE), rng.choice(PLACES)
            before = known.get(person)
            if rng.random() < 0.45:
                sentence, there = f"{person} {rng.choice(GOES)} the {place}.", True
            elif rng.random() < 0.48:
                sentence, there = f"{person} is in the {place}.", True
            elif before and before[1] and rng.random() < 0.7:
                place = before[0]
                sentence, there = f"{person} is no longer in the {place}.", False
            else:
                sentence, there = f"{person} is not in the {place}.", False
            known[person] = place, there, telling.tell(sentence)
        person = rng.choice(list(known))
        place, there, fact = known[person]
        asked = place
        if there and rng.random() < 0.5:
            asked = rng.choice([other for other in PLACES if other != place])
        answer = "yes" if there and asked == place else "no"
        telling.ask(f"Is {person} in the {asked}?", answer, fact)
    return telling.stories


def indefinite(rng: Random) -> list[Story]:
    """Task 10: people are said to be in a place, or in one of two; the answer may be "maybe"."""
    telling = Telling(10, rng)
    known: dict[str, tuple[tuple[str, ...], int]] = {}
    while len(telling.stories) < QUESTIONS:
        for _ in range(GAP):
            person, (place, other) = rng.choice(TOWNSPEOPLE), rng.sample(TOWN, 2)
            places: tuple[str, ...] = (place,)
            chance = rng.random()
            if chance < 0.24:
                sentence, places = f"{person} is either in the {place} or the {other}.", (place, other)
            elif chance < 0.5:
                sentence = f"{person} is in the {place}."
            else:
                sentence = f"{person} {rng.choice(GOES)} the {place}."
            known[person] = places, telling.tell(sentence)
        person = rng.choice(list(known))
        places, fact = known[person]
        asked = rng.choice(places) if rng.random() < 0.5 else rng.choice([p for p in TOWN if p not in places])
        answer = "no" if asked not in places else "yes" if len(places) == 1 else "maybe"
        telling.ask(f"Is {person} in the {asked}?", answer, fact)
    return telling.stories


def coreference(rng: Random) -> list[Story]:
    """Task 11: who moved twice is "he" or "she" the second time."""
    return _pairs(Telling(11, rng), together=1)


def compound_coreference(rng: Random) -> list[Story]:
    """Task 13: two people move together, and are "they" the second time."""
    return _pairs(Telling(13, rng), together=2)


def conjunction(rng: Random) -> list[Story]:
    """Task 12: two people move together."""
    telling = Telling(12, rng)
    known: dict[str, tuple[str, int]] = {}
    while len(telling.stories) < QUESTIONS:
        for _ in range(GAP):
            pair = rng.sample(PEOPLE, 2)
            place = rng.choice([p for p in PLACES if p not in [known.get(person, ("",))[0] for person in pair]])
            fact = telling.tell(f"{pair[0]} and {pair[1]} {rng.choice(GOES)} the {place}.")
            known |= dict.fromkeys(pair, (place, fact))
        person = rng.choice(list(known))
        place, fact = known[person]
        telling.ask(f"Where is {person}?", place, fact)
    return telling.stories


def _pairs(telling: Telling, together: int) -> list[Story]:
    """Sentences in pairs: someone goes somewhere, and then, by a pronoun, somewhere else."""
    rng = telling.rng
    known: dict[str, tuple[str, int, int]] = {}
    while len(telling.stories) < QUESTIONS:
        group = rng.sample(PEOPLE, together)
        first, second = rng.sample(PLACES, 2)
        named = telling.tell(f"{' and '.join(group)} {rng.choice(GOES)} the {first}.")
        pronoun = "they" if together > 1 else PRONOUNS[group[0]]
        after = telling.tell(f"{rng.choice(NEXT)} {pronoun} {rng.choice(GOES)} the {second}.")
        known |= dict.fromkeys(group, (second, named, after))
        person = rng.choice(list(known))
        place, *facts = known[person]
        telling.ask(f"Where is {person}?", place, *facts)
    return telling.stories


def time_reasoning(rng: Random) -> list[Story]:
    """Task 14: where somebody was before, of moves that are told in any order with the time of day."""
    telling = Telling(14, rng)
    untold = []
    for person in TOWNSPEOPLE:
        # Nobody visits a place twice, so that "before the school" is one occasion.
        untold += [(person, time, place) for time, place in enumerate(rng.sample(TOWN, len(TIMES)))]
    rng.shuffle(untold)
    # Told roughly day by day, as in the data: what is later comes later, with exceptions.
    untold.sort(key=lambda event: event[1] + rng.uniform(0, 2.5))
    visits: dict[str, dict[int, tuple[str, int]]] = {person: {} for person in TOWNSPEOPLE}
    since = 0
    for person, time, place in untold:
        at = rng.choice(GOES)
        sentence = f"{TIMES[time]} {person} {at} the {place}." if rng.random() < 0.5 else None
        fact = telling.tell(sentence or f"{person} {at} the {place} {TIMES[time]}.")
        visits[person][time] = place, fact
        since += 1
        able = [who for who in TOWNSPEOPLE if len(visits[who]) > 1]
        if since >= GAP and able and len(telling.stories) < QUESTIONS:
            since = 0
            who = rng.choice(able)
            order = sorted(visits[who])
            later = rng.randrange(1, len(order))
            (before, earlier), (now, last) = visits[who][order[later - 1]], visits[who][order[later]]
            telling.ask(f"Where was {who} before the {now}?", before, last, earlier)
    return telling.stories
