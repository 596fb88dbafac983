"""The healthy copy that faults are planted into, and what a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memviz.demos.gallery.unroll import INTERFACE, LAWFUL, Equations
from memviz.testing.simulate import Phase, Sizes, episodes, simulate_dnc

Array = NDArray[np.floating]
Fields = Mapping[str, Array]


@dataclass(slots=True)
class Scene:
    """One item of a healthy copy, for a fault to change.

    Attributes:
        sizes: of the memory and the sequence.
        interface: what the controller emits, [time, 1, ...].
        initial: memory before the first time, [1, slot, word].
        phases: input, end and recall.
        random: where a fault gets its irregularities from.
    """

    sizes: Sizes
    interface: dict[str, Array]
    initial: Array
    phases: Sequence[Phase]
    random: np.random.Generator

    @property
    def written(self) -> range:
        """Times at which the first episode writes its items."""
        return range(self.phases[0].start, self.phases[0].stop)

    @property
    def recalled(self) -> range:
        """Times at which the first episode answers."""
        return range(self.phases[2].start, self.phases[2].stop)

    def modes(self, times: Sequence[int], backward: float, content: float, forward: float) -> None:
        """Set the read modes of all heads at some times."""
        self.interface["read_modes"][list(times)] = (backward, content, forward)


@dataclass(frozen=True, slots=True)
class Planted:
    """What a fault did beyond changing its scene.

    Attributes:
        equations: the equations of the memory, one of them wrong perhaps.
        where: from the fields of the item, where the evidence should point: any of field, time, slot, head.
        stored: fields to store beside the default ones.
    """

    equations: Equations = LAWFUL
    where: Callable[[Fields], dict[str, int | str]] = lambda fields: {}
    stored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the gallery.

    Attributes:
        name: as in `python -m memviz.demos.gallery NAME`.
        summary: what is wrong, in one line.
        diagnostic: the check that should name it first.
        plant: changes a scene.
        sizes: of the memory and the sequence.
    """

    name: str
    summary: str
    diagnostic: str
    plant: Callable[[Scene], Planted]
    sizes: Sizes = field(default_factory=lambda: Sizes(batch=3))


def healthy(sizes: Sizes, seed: int, jitter: int = 0) -> dict[str, Array]:
    """All fields of a copy that works, [time, batch, ...]; see memviz.testing.simulate."""
    return simulate_dnc(sizes, seed=seed, sharpness=1.0, jitter=jitter)


def scene_of(fields: Fields, item: int, sizes: Sizes, seed: int) -> Scene:
    """The scene of one item of a healthy copy."""
    return Scene(
        sizes=sizes,
        interface={name: fields[name][:, item : item + 1].copy() for name in INTERFACE},
        initial=fields["initial/memory"][item : item + 1].copy(),
        phases=episodes(sizes.times, sizes.slots),
        random=np.random.default_rng([seed, 7]),
    )
