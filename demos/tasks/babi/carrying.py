"""The families of going about and carrying things: tasks 1, 2, 3, 5, 6, 7 and 8 of Weston et al. 2015."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.world import GIVERS, Telling, World

QUESTIONS = 5
"""Questions of one telling."""

GAP = 2
"""Sentences between two questions, at least."""


def single_fact(rng: Random) -> list[Story]:
    """Task 1: "Where is Mary?" after people moved about."""
    world = World(Telling(1, rng))
    while len(world.telling.stories) < QUESTIONS:
        for _ in range(GAP):
            world.go()
        person = rng.choice(list(world.moved))
        world.telling.ask(f"Where is {person}?", world.where[person], world.moved[person])
    return world.telling.stories


def yes_no(rng: Random) -> list[Story]:
    """Task 6: "Is Mary in the garden?", yes half of the time; things that are carried about do not matter."""
    world = World(Telling(6, rng))

    def ask() -> bool:
        if not world.moved:
            return False
        person = rng.choice(list(world.moved))
        true = world.where[person]
        place = true if rng.random() < 0.5 else rng.choice([place for place in world.places if place != true])
        world.telling.ask(f"Is {person} in the {place}?", "yes" if place == true else "no", world.moved[person])
        return True

    return _told(world, ask, handling=0.5)


def two_facts(rng: Random) -> list[Story]:
    """Task 2: "Where is the milk?", which whoever took it carried along or left somewhere."""
    world = World(Telling(2, rng))

    def ask() -> bool:
        known = [(thing, found) for thing in world.things if (found := world.place_of(thing))]
        if not known:
            return False
        thing, (place, handled, came) = rng.choice(known)
        world.telling.ask(f"Where is the {thing}?", place, handled, came)
        return True

    return _told(world, ask, handling=0.4)


def three_facts(rng: Random) -> list[Story]:
    """Task 3: "Where was the milk before the office?", the place before the one where it is now."""
    world = World(Telling(3, rng))

    def ask() -> bool:
        able = [
            thing for thing in world.things if world.place_of(thing) and len(world.trail[thing]) > 1 and _unique(thing)
        ]
        if not able:
            return False
        thing = rng.choice(able)
        (before, earlier), (now, later) = world.trail[thing][-2:]
        world.telling.ask(f"Where was the {thing} before the {now}?", before, world.handled[thing], later, earlier)
        return True

    def _unique(thing: str) -> bool:
        # "Before the office" has to mean one occasion: from the last time back, it is the latest.
        return world.trail[thing][-1][0] != world.trail[thing][-2][0]

    return _told(world, ask, handling=0.35, gap=4)


def giving(rng: Random) -> list[Story]:
    """Task 5: who gave what to whom; asked is always for the last time that fits the question."""
    world = World(Telling(5, rng), people=GIVERS)
    given: list[tuple[str, str, str, int]] = []

    def ask() -> bool:
        if not given:
            return False
        giver, thing, receiver, fact = given[-1] if rng.random() < 0.7 else rng.choice(given)
        questions = (
            (f"What did {giver} give to {receiver}?", thing, lambda g: (g[0], g[2]) == (giver, receiver)),
            (f"Who gave the {thing} to {receiver}?", giver, lambda g: g[1:3] == (thing, receiver)),
            (f"Who did {giver} give the {thing} to?", receiver, lambda g: g[:2] == (giver, thing)),
            (f"Who gave the {thing}?", giver, lambda g: g[1] == thing),
            (f"Who received the {thing}?", receiver, lambda g: g[1] == thing),
        )
        question, answer, fits = rng.choice(questions)
        if [event for event in given if fits(event)][-1][3] != fact:
            return False
        world.telling.ask(question, answer, fact)
        return True

    def event() -> bool:
        made = world.give()
        if made:
            given.append(made)
        return made is not None

    return _told(world, ask, handling=0.5, more=event)


def counting(rng: Random) -> list[Story]:
    """Task 7: "How many objects is Mary carrying?"."""
    world = World(Telling(7, rng))

    def ask() -> bool:
        able = [person for person in world.people if world.changes[person]]
        if not able:
            return False
        person = rng.choice(able)
        number = ("none", "one", "two", "three")[len(world.carried[person])]
        world.telling.ask(f"How many objects is {person} carrying?", number, *world.changes[person])
        return True

    return _told(world, ask, handling=0.6, more=lambda: world.give() is not None)


def listing(rng: Random) -> list[Story]:
    """Task 8: "What is Mary carrying?", in the order of taking."""
    world = World(Telling(8, rng))

    def ask() -> bool:
        able = [person for person in world.people if world.changes[person]]
        if not able:
            return False
        person = rng.choice(able)
        answer = ",".join(world.carried[person]) or "nothing"
        world.telling.ask(f"What is {person} carrying?", answer, *world.changes[person])
        return True

    return _told(world, ask, handling=0.6)


def _told(
    world: World,
    ask: Callable[[], bool],
    handling: float,
    gap: int = GAP,
    more: Callable[[], bool] | None = None,
) -> list[Story]:
    """Let things happen, and ask in between, until there are enough questions.

    Args:
        world: empty so far.
        ask: asks a question if it can.
        handling: share of sentences, of those that can be, about taking and leaving things.
        gap: sentences between two questions, at least.
        more: one more thing that can happen.
    """
    rng, since = world.rng, 0
    while len(world.telling.stories) < QUESTIONS:
        happens = rng.choice([world.take, world.drop, *([more, more] if more else [])])
        if not (rng.random() < handling and happens()):
            world.go()
        since += 1
        if since >= gap and ask():
            since = 0
    return world.telling.stories
