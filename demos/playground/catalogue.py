"""Which trained networks there are: checkpoints of dynamic memory networks on bAbI, found in folders.

Only what a checkpoint says of itself is read here, so that listing needs neither torch nor its weights.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError, safe_open

from memviz.demos.plan import Plan
from memviz.demos.tasks.babi.families import FAMILIES, Family
from memviz.errors import OptionError, UnknownNameError

SUFFIX = ".safetensors"
MAX_FILE = 256 * 2**20
"""Bytes of a checkpoint; those that come with memviz have 130 kB."""

FIGURES = ".babi.json"
"""What `python -m memviz.demos.evaluate` writes beside a checkpoint (memviz.demos.tasks.babi.examine)."""

MAX_FIGURES = 8 * 2**20
"""Bytes of it; confusion matrices of all families have some hundred thousand."""

MAX_MODELS = 200
"""Networks that are listed."""

FORMAT = 1
"""Newest layout of a checkpoint that is known here (memviz.demos.checkpointing)."""

NETWORKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "basic": (
            "DMN basic",
            "Gates see facts, memory and question, their products, absolute differences and two bilinear terms "
            "(Kumar et al. 2016, as YerevaNN built it).",
        ),
        "smooth": (
            "DMN smooth",
            "As basic, with squares in the place of absolute differences and no bilinear terms (YerevaNN).",
        ),
        "batch": (
            "DMN batch",
            "As smooth, trained in batches with the last memory normalised over the batch (YerevaNN).",
        ),
        "plus": (
            "DMN+",
            "Sentences as weighted sums of their words, facts that see each other, gates that sum to 1 over the facts "
            "(Xiong et al. 2016).",
        ),
    }
)
"""Name and description of each variant of memviz.demos.models.dmn; `dmn_` and the variant is the id of the network."""


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint that can be asked.

    Attributes:
        id: the name of its file, made different from others in its network.
        network: id of its network, such as "dmn_plus".
        path: of its file of tensors.
        stamp: changes when the file does.
        step: optimizer updates done.
        plan: how it was trained; None where the checkpoint is of a format that is not known here.
        results: what was measured of it.
        problem: why it cannot be asked; None when it can.
    """

    id: str
    network: str
    path: Path
    stamp: str
    step: int
    plan: Plan | None
    results: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    @property
    def families(self) -> tuple[Family, ...]:
        """The families of stories that it learned."""
        tasks = str(self.plan.task_options.get("tasks", "1")) if self.plan else ""
        if tasks == "joint":
            return FAMILIES
        numbers = {int(part) for part in tasks.split(",") if part.strip().isdigit()}
        return tuple(family for family in FAMILIES if family.id in numbers)

    @property
    def files(self) -> str:
        """The folder of the files that it learned from; empty for stories made on the spot."""
        return str(self.plan.task_options.get("babi", "")) if self.plan else ""

    def accuracy(self) -> dict[int, float]:
        """Percent of right answers per family, of those that were measured."""
        measured = self.results.get("accuracy")
        if not isinstance(measured, dict):
            return {}
        return {
            int(task): float(value)
            for task, value in measured.items()
            if task.isdigit() and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def description(self) -> str:
        """One line for people."""
        if self.problem:
            return self.problem
        named = "all twenty families" if len(self.families) == len(FAMILIES) else _families(self.families)
        told = f"files in {Path(self.files).name}" if self.files else "stories made on the spot"
        measured = self.accuracy()
        mean = f", {sum(measured.values()) / len(measured):.1f} % right on others" if measured else ""
        return f"{named}, learned from {told} in {self.step} steps{mean}"


class Catalogue:
    """The checkpoints in some folders; looked for whenever it is asked, and read only when they changed.

    Args:
        folders: where to look, not below them; a file beside a folder, `runs/copy.safetensors`, can be named itself.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._read: dict[tuple[Path, str], Model | None] = {}
        self._lock = threading.Lock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where it looks."""
        return self._folders

    def models(self) -> list[Model]:
        """All networks that can be asked, those of the first folder first."""
        with self._lock:
            found = [model for path, stamp in self._files() if (model := self._model(path, stamp)) is not None]
        names: set[tuple[str, str]] = set()
        return [_named(model, names) for model in found[:MAX_MODELS]]

    def networks(self) -> list[str]:
        """The ids of the networks that have models, those of the first folder first."""
        return list(dict.fromkeys(model.network for model in self.models()))

    def of_network(self, network: str) -> list[Model]:
        """The models of a network.

        Raises:
            UnknownNameError: there is none of this name.
        """
        models = [model for model in self.models() if model.network == network]
        if not models:
            raise UnknownNameError("network with a trained model", network, self.networks())
        return models

    def model(self, network: str, name: str) -> Model:
        """A model by its network and id.

        Raises:
            UnknownNameError: there is none of this name.
        """
        models = {model.id: model for model in self.of_network(network)}
        if name not in models:
            raise UnknownNameError(f"model of {network}", name, models)
        return models[name]

    def _files(self) -> Iterable[tuple[Path, str]]:
        seen: set[Path] = set()
        for place in self._folders:
            try:
                paths = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
            except OSError:
                continue
            for path in paths:
                try:
                    stat, real = path.stat(), path.resolve()
                except OSError:
                    continue
                if real not in seen and path.is_file() and stat.st_size <= MAX_FILE:
                    seen.add(real)
                    yield path, f"{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}"

    def _model(self, path: Path, stamp: str) -> Model | None:
        try:
            measured = f"{figures_of(path).stat().st_mtime_ns:x}"
        except OSError:
            measured = ""
        key = path, f"{stamp} {measured}"
        if key not in self._read:
            self._read = {known: model for known, model in self._read.items() if known[0] != path}
            self._read[key] = read_model(path, stamp)
        return self._read[key]


def figures_of(path: Path) -> Path:
    """Where the figures of a checkpoint are, if it was examined."""
    return path.with_name(path.name.removesuffix(SUFFIX) + FIGURES)


def read_figures(path: Path) -> dict[str, Any]:
    """Percent of right answers by family, `{"accuracy": {"1": 99.0}}`, of a file of figures; {} where it is none."""
    try:
        if path.stat().st_size > MAX_FIGURES:
            return {}
        families = json.loads(path.read_bytes())["families"]
        return {"accuracy": {str(task): figures["accuracy"] for task, figures in families.items()}}
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def read_model(path: Path, stamp: str = "") -> Model | None:
    """What a checkpoint says of itself; None for a file that is no dynamic memory network on bAbI."""
    try:
        with safe_open(path, framework="numpy") as tensors:
            facts = json.loads((tensors.metadata() or {})["memviz"])
        plan = facts["plan"]
        if plan["task"] != "babi" or plan["model"] != "dmn" or plan.get("package"):
            return None
        variant = str(plan["model_options"].get("variant", "smooth"))
        # Names of variants and files become parts of addresses, where a slash would end them.
        name, network = path.stem, f"dmn_{variant}".replace("/", "-")
        if facts["format"] > FORMAT:
            problem = f"written by memviz {str(facts.get('memviz'))[:20]}, which is newer than this; update memviz"
            return Model(name, network, path, stamp, step=0, plan=None, problem=problem)
        own = facts["results"] if isinstance(facts["results"], dict) else {}
        results = own if "accuracy" in own else {**own, **read_figures(figures_of(path))}
        return Model(name, network, path, stamp, int(facts["step"]), Plan.from_json(plan), results)
    except (SafetensorError, OSError, OptionError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def folders_of(own: Path, given: Sequence[Path], served: Sequence[Path]) -> list[Path]:
    """Where networks are looked for: those of memviz, the user's, and those beside the traces that are served.

    Training leaves its checkpoint beside the trace: that of `runs/babi` is `runs/babi.safetensors`.
    """
    beside = [path.with_name(path.name + SUFFIX) for path in map(Path.absolute, served) if path.name]
    return [own, *given, *served, *beside]


def _families(families: Sequence[Family]) -> str:
    if len(families) == 1:
        return f"task {families[0].id}, {families[0].name}"
    return f"tasks {', '.join(str(family.id) for family in families)}" if families else "no known family"


def _named(model: Model, names: set[tuple[str, str]]) -> Model:
    """The model under a name that no other of its network has."""
    name, number = model.id, 1
    while (model.network, name) in names:
        number += 1
        name = f"{model.id}-{number}"
    names.add((model.network, name))
    return replace(model, id=name)
