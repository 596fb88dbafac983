"""A small world of people, places and things, and the teller of its stories.

What happens is told in sentences of the forms that Weston et al. 2015 give as examples. The world knows which sentence
told each thing, so the facts that an answer rests on are known without looking at the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from memviz.demos.tasks.babi.stories import Story

PEOPLE = ("Mary", "John", "Daniel", "Sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
THINGS = ("apple", "football", "milk")
GIVERS = ("Mary", "Bill", "Fred", "Jeff")
TOWNSPEOPLE = ("Mary", "Bill", "Fred", "Julie")
TOWN = ("bedroom", "cinema", "kitchen", "office", "park", "school")
PRONOUNS = {"Mary": "she", "Sandra": "she", "John": "he", "Daniel": "he"}

GOES = ("went to", "went back to", "journeyed to", "travelled to", "moved to")
TAKES = ("got", "took", "grabbed", "picked up")
DROPS = ("left", "dropped", "discarded", "put down")
GIVES = ("gave", "passed", "handed")


@dataclass
class Telling:
    """The facts told so far, and the questions asked in between.

    Attributes:
        task: number of the family.
        rng: where chance comes from.
    """

    task: int
    rng: Random
    facts: list[str] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)

    def tell(self, sentence: str) -> int:
        """Tell one sentence; returns its number, from 0."""
        self.facts.append(sentence[0].upper() + sentence[1:])
        return len(self.facts) - 1

    def ask(self, question: str, answer: str, *supporting: int) -> None:
        """Ask something about the facts told so far."""
        self.stories.append(Story(self.task, tuple(self.facts), question, answer.lower(), supporting))


@dataclass
class World:
    """Who is where and who has what, with the sentences that told it.

    Everyone and everything is somewhere from the start, which nobody has told.

    Attributes:
        telling: where what happens is told.
        people: who lives here.
        places: where one can be.
        things: what can be carried.
        where: the place of each person.
        moved: by person, the sentence that told where the person is.
        holder: who has each thing; None when it lies around.
        lies: the place of each thing that lies around.
        handled: by thing, the last sentence about who has it.
        carried: by person, what the person has in the order of getting it, and all sentences that changed it.
        trail: by thing, the places where it is known to have been, each with the sentence that told of the way there.
    """

    telling: Telling
    people: tuple[str, ...] = PEOPLE
    places: tuple[str, ...] = PLACES
    things: tuple[str, ...] = THINGS
    where: dict[str, str] = field(init=False)
    moved: dict[str, int] = field(default_factory=dict)
    holder: dict[str, str | None] = field(init=False)
    lies: dict[str, str] = field(init=False)
    handled: dict[str, int] = field(default_factory=dict)
    carried: dict[str, list[str]] = field(init=False)
    changes: dict[str, list[int]] = field(init=False)
    trail: dict[str, list[tuple[str, int]]] = field(init=False)

    def __post_init__(self) -> None:
        rng = self.telling.rng
        self.where = {person: rng.choice(self.places) for person in self.people}
        self.holder = dict.fromkeys(self.things)
        self.lies = {thing: rng.choice(self.places) for thing in self.things}
        self.carried = {person: [] for person in self.people}
        self.changes = {person: [] for person in self.people}
        self.trail = {thing: [] for thing in self.things}

    @property
    def rng(self) -> Random:
        """Where chance comes from."""
        return self.telling.rng

    def go(self, person: str | None = None) -> None:
        """Someone goes somewhere else."""
        person = person or self.rng.choice(self.people)
        place = self.rng.choice([place for place in self.places if place != self.where[person]])
        self.where[person] = place
        self.moved[person] = self.telling.tell(f"{person} {self.rng.choice(GOES)} the {place}.")
        for thing in self.carried[person]:
            self.trail[thing].append((place, self.moved[person]))

    def take(self) -> bool:
        """Someone takes what lies around in the same place; False where nobody can."""
        able = [
            (person, thing)
            for person in self.people
            for thing in self.things
            if self.holder[thing] is None and self.lies[thing] == self.where[person]
        ]
        if not able:
            return False
        person, thing = self.rng.choice(able)
        self._changed(thing, self.telling.tell(f"{person} {self.rng.choice(TAKES)} the {thing} there."), person)
        if person in self.moved and (not self.trail[thing] or self.trail[thing][-1][0] != self.where[person]):
            self.trail[thing].append((self.where[person], self.moved[person]))
        return True

    def drop(self) -> bool:
        """Someone leaves something; False where nobody has anything."""
        held = [thing for thing in self.things if self.holder[thing]]
        if not held:
            return False
        thing = self.rng.choice(held)
        person = self.holder[thing]
        there = self.rng.choice(("", "", "", "", " there"))
        fact = self.telling.tell(f"{person} {self.rng.choice(DROPS)} the {thing}{there}.")
        self.lies[thing] = self.where[str(person)]
        self._changed(thing, fact, None)
        return True

    def give(self) -> tuple[str, str, str, int] | None:
        """Someone gives something to someone in the same place: giver, thing, receiver and sentence, where one can."""
        able = [
            (giver, thing, receiver)
            for thing, giver in self.holder.items()
            if giver is not None
            for receiver in self.people
            if receiver != giver and self.where[receiver] == self.where[giver]
        ]
        if not able:
            return None
        giver, thing, receiver = self.rng.choice(able)
        fact = self.telling.tell(f"{giver} {self.rng.choice(GIVES)} the {thing} to {receiver}.")
        self._changed(thing, fact, receiver)
        return giver, thing, receiver, fact

    def _changed(self, thing: str, fact: int, receiver: str | None) -> None:
        giver = self.holder[thing]
        if giver is not None:
            self.carried[giver].remove(thing)
            self.changes[giver].append(fact)
        if receiver is not None:
            self.carried[receiver].append(thing)
            self.changes[receiver].append(fact)
        self.holder[thing] = receiver
        self.handled[thing] = fact

    def place_of(self, thing: str) -> tuple[str, int, int] | None:
        """Where a thing is, the last sentence about the thing, and that of how it came there; None if nobody knows."""
        if thing not in self.handled or not self.trail[thing]:
            return None
        place, fact = self.trail[thing][-1]
        return (place, self.handled[thing], fact) if place == self._true_place(thing) else None

    def _true_place(self, thing: str) -> str:
        holder = self.holder[thing]
        return self.lies[thing] if holder is None else self.where[holder]
