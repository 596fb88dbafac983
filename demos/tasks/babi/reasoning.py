"""The families of relations, kinds, sizes, ways and motives: tasks 4 and 15 to 20 of Weston et al. 2015."""

from __future__ import annotations

from random import Random

from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.world import GOES, PLACES, TAKES, Telling

OFFSETS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
PLURALS = {"mouse": "mice", "sheep": "sheep", "wolf": "wolves", "cat": "cats"}
COLORS = ("gray", "green", "white", "yellow")
ANIMALS = ("frog", "lion", "rhino", "swan")
SHAPES = ("triangle", "pink rectangle", "red square", "blue square", "yellow square", "red sphere")
SIDES = {"above": (0, 1), "below": (0, -1), "to the left of": (-1, 0), "to the right of": (1, 0)}
SIZE_QUESTIONS = 5
MOTIVES = {
    "thirsty": ("kitchen", "milk"),
    "hungry": ("kitchen", "apple"),
    "tired": ("bedroom", "pajamas"),
    "bored": ("garden", "football"),
}


def two_arguments(rng: Random) -> list[Story]:
    """Task 4: "What is north of the kitchen?", "What is the garden west of?"."""
    telling = Telling(4, rng)
    middle, one, two = rng.sample(PLACES, 3)
    # Two places in different directions from the one between them, each told from either end.
    relations = list(zip((one, two), rng.sample(list(OFFSETS), 2), strict=True))
    facts = []
    for other, direction in relations:
        told = (other, direction, middle) if rng.random() < 0.5 else (middle, OPPOSITE[direction], other)
        facts.append(telling.tell("The {} is {} of the {}.".format(*told)))
    chosen = rng.randrange(2)
    other, direction = relations[chosen]
    # Only the middle has several neighbours, so what is asked of it must name the direction; so does each question.
    if rng.random() < 0.5:
        telling.ask(f"What is {direction} of the {middle}?", other, facts[chosen])
    else:
        telling.ask(f"What is the {middle} {OPPOSITE[direction]} of?", other, facts[chosen])
    return telling.stories


def deduction(rng: Random) -> list[Story]:
    """Task 15: whoever is a mouse is afraid of what mice are afraid of."""
    telling = Telling(15, rng)
    kinds = list(PLURALS)
    fears = {kind: rng.choice([other for other in kinds if other != kind]) for kind in kinds}
    names = {name: rng.choice(kinds) for name in ("Gertrude", "Emily", "Jessica", "Winona")}
    sentences = {f"{PLURALS[kind]} are afraid of {PLURALS[feared]}.": kind for kind, feared in fears.items()}
    sentences |= {f"{name} is a {kind}.": name for name, kind in names.items()}
    order = list(sentences)
    rng.shuffle(order)
    facts = {sentences[sentence]: telling.tell(sentence) for sentence in order}
    for name in rng.sample(list(names), len(names)):
        kind = names[name]
        telling.ask(f"What is {name.lower()} afraid of?", fears[kind], facts[name], facts[kind])
    return telling.stories


def induction(rng: Random) -> list[Story]:
    """Task 16: whoever is a swan has the color of the other swan."""
    telling = Telling(16, rng)
    names = rng.sample(("Lily", "Bernhard", "Greg", "Brian", "Julius"), 5)
    colors = {animal: rng.choice(COLORS) for animal in ANIMALS}
    kinds = {name: rng.choice(ANIMALS) for name in names}
    asked, example = names[:2]
    kinds[asked] = kinds[example]
    told = [(name, f"{name} is a {kinds[name]}.") for name in names]
    told += [(name, f"{name} is {colors[kinds[name]]}.") for name in names if name != asked]
    rng.shuffle(told)
    facts: dict[str, dict[bool, int]] = {name: {} for name in names}
    for name, sentence in told:
        facts[name][" is a " in sentence] = telling.tell(sentence)
    telling.ask(
        f"What color is {asked}?", colors[kinds[asked]], facts[asked][True], facts[example][True], facts[example][False]
    )
    return telling.stories


def positions(rng: Random) -> list[Story]:
    """Task 17: how two shapes lie to each other that are both related to a third; one question out of eight."""
    telling = Telling(17, rng)
    one, middle, two = rng.sample(SHAPES, 3)
    at = {middle: (0, 0)}
    while len(set(at.values())) < 3:
        sides = [rng.choice(list(SIDES)) for _ in range(2)]
        at |= {one: SIDES[sides[0]], two: SIDES[sides[1]]}
    facts = []
    for shape, side in zip((one, two), sides, strict=True):
        turned = next(name for name, (x, y) in SIDES.items() if (-x, -y) == SIDES[side])
        told = (shape, side, middle) if rng.random() < 0.5 else (middle, turned, shape)
        facts.append(telling.tell("The {} is {} the {}.".format(*told)))
    for _ in range(8):
        a, b = rng.sample((one, two), 2)
        apart = [at[a][axis] - at[b][axis] for axis in range(2)]
        side, (x, y) = rng.choice(list(SIDES.items()))
        true = apart[0] * x + apart[1] * y > 0
        telling.ask(f"Is the {a} {side} the {b}?", "yes" if true else "no", *facts)
    return telling.stories


def sizes(rng: Random) -> list[Story]:
    """Task 18: "Does the box fit in the suitcase?", which two comparisons say together."""
    telling = Telling(18, rng)
    large = ["box", "chest", "container", "suitcase"]
    rng.shuffle(large)
    order = ["chocolate", "box of chocolates", *large]
    pairs = [(small, big) for big in range(len(order)) for small in range(big)]
    rng.shuffle(pairs)
    facts: dict[tuple[int, int], int] = {}
    for small, big in pairs:
        form = "The {0} fits inside the {1}." if rng.random() < 0.5 else "The {1} is bigger than the {0}."
        facts[small, big] = telling.tell(form.format(order[small], order[big]))
        if len(facts) >= 5:
            _ask_sizes(telling, order, facts)
        if len(telling.stories) >= SIZE_QUESTIONS:
            break
    return telling.stories


def _ask_sizes(telling: Telling, order: list[str], facts: dict[tuple[int, int], int]) -> None:
    """Ask about things that are compared with a third, not with each other, a few times where there are such."""
    rng = telling.rng
    chains = [(a, b, c) for a, b in facts for b2, c in facts if b == b2 and (a, c) not in facts]
    while chains and rng.random() < 0.8:
        a, b, c = rng.choice(chains)
        asked, other = rng.sample((a, c), 2)
        if rng.random() < 0.5:
            answer = "yes" if asked < other else "no"
            telling.ask(f"Does the {order[asked]} fit in the {order[other]}?", answer, facts[a, b], facts[b, c])
        else:
            answer = "yes" if asked > other else "no"
            telling.ask(f"Is the {order[asked]} bigger than the {order[other]}?", answer, facts[b, c], facts[a, b])


def paths(rng: Random) -> list[Story]:
    """Task 19: the way from one place to another, two steps on a map that five sentences tell."""
    telling = Telling(19, rng)
    names = rng.sample(PLACES, len(PLACES))
    at = {names[0]: (0, 0)}
    edges: list[tuple[str, str, str]] = []
    for name in names[1:]:
        # Every place is put next to one that has its place, so the map is a tree.
        free = [
            (near, way, (x + dx, y + dy))
            for near, (x, y) in at.items()
            for way, (dx, dy) in OFFSETS.items()
            if (x + dx, y + dy) not in at.values()
        ]
        near, way, at[name] = rng.choice(free)
        edges.append((name, way, near))
    rng.shuffle(edges)
    steps: dict[str, dict[str, tuple[str, int]]] = {name: {} for name in names}
    for name, way, near in edges:
        told = (name, way, near) if rng.random() < 0.5 else (near, OPPOSITE[way], name)
        fact = telling.tell("The {} is {} of the {}.".format(*told))
        steps[near][name], steps[name][near] = (way[0], fact), (OPPOSITE[way][0], fact)
    ways = [
        (start, stop, first, second)
        for start in names
        for between, first in steps[start].items()
        for stop, second in steps[between].items()
        if stop != start
    ]
    start, stop, first, second = rng.choice(ways)
    answer = f"{first[0]},{second[0]}"
    telling.ask(f"How do you go from the {start} to the {stop}?", answer, first[1], second[1])
    return telling.stories


def motives(rng: Random) -> list[Story]:
    """Task 20: who is hungry goes to the kitchen and gets the apple."""
    telling = Telling(20, rng)
    people = rng.sample(("Sumit", "Yann", "Jason", "Antoine"), 4)
    motive = dict(zip(people, rng.choices(list(MOTIVES), k=4), strict=True))
    reason: dict[str, int] = {}
    done = dict.fromkeys(people, 0)
    taken: set[str] = set()
    while able := [who for who in people if done[who] < (3 if MOTIVES[motive[who]][1] not in taken else 2)]:
        who = rng.choice(able)
        state, stage = motive[who], done[who]
        place, thing = MOTIVES[state]
        name = who.lower()
        done[who] += 1
        if stage == 0:
            reason[who] = telling.tell(f"{who} is {state}.")
            telling.ask(f"Where will {name} go?", place, reason[who])
        elif stage == 1:
            telling.tell(f"{who} {rng.choice(GOES)} the {place}.")
            telling.ask(f"Why did {name} go to the {place}?", state, reason[who])
        else:
            taken.add(thing)
            telling.tell(f"{who} {rng.choice(TAKES)} the {thing} there.")
            telling.ask(f"Why did {name} get the {thing}?", state, reason[who])
    return telling.stories
