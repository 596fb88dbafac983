"""The routes of the Playground, documented in docs/playground.md.

Those that the servers of YerevaNN's networks had, with the same answers and more in them: networks, their models, one
model, and a question to it.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from random import SystemRandom
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from memviz.dashboards.numbers import strict
from memviz.dashboards.params import ApiError, Params
from memviz.demos.playground import asked, limits
from memviz.demos.playground.catalogue import NETWORKS, Catalogue, Model
from memviz.demos.playground.process import Answerer, WorkerError
from memviz.demos.playground.samples import SEEDS, sample, samples
from memviz.errors import UnknownNameError

log = logging.getLogger(__name__)

BASE = "/api/v1/networks"
PREDICT = f"{BASE}/<network>/models/<model>/_predict"

SAMPLES = 20
"""Stories that a model lists."""

FACTS = 130
"""Facts of a sampled story at most, where a network does not say how many it learned from."""


class Service:
    """Answers the routes.

    Args:
        catalogue: which networks there are.
        worker: who holds them.
        bounds: how much may be asked.
    """

    def __init__(self, catalogue: Catalogue, worker: Answerer, bounds: limits.Bounds | None = None) -> None:
        self.catalogue = catalogue
        self.worker = worker
        self.bounds = bounds or limits.Bounds()
        self._cards: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def networks(self) -> list[dict[str, Any]]:
        """All networks with models."""
        return [
            {"id": network, **_named(network), "models": len(self.catalogue.of_network(network))}
            for network in self.catalogue.networks()
        ]

    def models(self, network: str) -> list[dict[str, Any]]:
        """The models of a network."""
        return [
            {
                "id": model.id,
                "name": model.id,
                "description": model.description(),
                "tasks": [family.id for family in model.families],
                "problem": model.problem,
                "version": model.stamp,
            }
            for model in self.catalogue.of_network(network)
        ]

    def card(self, network: str, name: str) -> dict[str, Any]:
        """All about a model: what it is made of, what it learned from, how well it does, which words it knows."""
        model = self._usable(network, name)
        key = f"{model.path}|{model.stamp}"
        with self._lock:
            described = self._cards.get(key)
        if described is None:
            described = self._ask(model, do="describe")
            with self._lock:
                self._cards = {**dict(list(self._cards.items())[-limits.WAITING * 8 :]), key: described}
        assert model.plan is not None
        accuracy = model.accuracy()
        plan = model.plan.to_json()
        training = {
            "data": "files" if model.files else "stories made on the spot",
            "files": model.files,
            "supervision": model.plan.task_options.get("supervision", 0.0),
            **{name: plan[name] for name in ("batch_size", "optimizer", "learning_rate", "clip", "seed")},
            "steps": model.step,
        }
        families = [
            {"id": family.id, "name": family.name, "accuracy": accuracy.get(family.id)} for family in model.families
        ]
        return {
            "id": model.id,
            "name": model.id,
            "network": network,
            "description": model.description(),
            "dim": described["hyperparameters"]["dim"],
            "memory_hops": described["hyperparameters"]["hops"],
            "babi_id": str(model.plan.task_options.get("tasks", "1")),
            **described,
            "variant": str(model.plan.model_options.get("variant", "smooth")),
            "training": training,
            "families": families,
            "version": model.stamp,
            "samples": samples(model.families, SAMPLES, self._most(model)) if model.families else [],
        }

    def sample(self, network: str, name: str, task: int | None, seed: int | None) -> dict[str, Any]:
        """A story from the families that a model learned; a new one without a seed."""
        model = self._usable(network, name)
        families = [family for family in model.families if task in (None, family.id)]
        if not families:
            known = ", ".join(str(family.id) for family in model.families) or "none"
            raise ApiError(404, f"{name} did not learn task {task}", f"one of: {known}", "choose another")
        chosen = SystemRandom().randrange(SEEDS) if seed is None else seed
        return sample(families, chosen, self._most(model)).to_json()

    def predict(self, network: str, name: str, question: asked.Asked) -> dict[str, Any]:
        """The answer of a model to a question."""
        answer = self._ask(self._usable(network, name), do="predict", story=question.story, question=question.question)
        # A text, as those servers sent it; `probability` is the same as a number.
        return {**answer, "confidence": f"{answer['confidence']:.7g}", "probability": answer["confidence"]}

    def _usable(self, network: str, name: str) -> Model:
        model = self.catalogue.model(network, name)
        if model.problem is not None or model.plan is None:
            raise ApiError(500, f"{name} cannot be asked: {model.problem}", "a checkpoint that can be read", "")
        return model

    def _most(self, model: Model) -> int:
        """How many facts a story may have that this model is asked about."""
        given = model.plan.task_options.get("facts", FACTS) if model.plan else FACTS
        return min(given, limits.FACTS) if isinstance(given, int) and given > 0 else FACTS

    def _ask(self, model: Model, **message: Any) -> dict[str, Any]:
        with self.bounds.place():
            found = self.worker.ask({"path": str(model.path), "stamp": model.stamp, **message})
        if "error" in found:
            refusal = ApiError(int(found["status"]), str(found["error"]["what"]))
            refusal.body = {"error": found["error"]}
            raise refusal
        answer: dict[str, Any] = found["answer"]
        return answer


def blueprint(service: Service) -> Blueprint:
    """The routes; register it on the Flask server of the dashboard."""
    routes = Blueprint("memviz_playground", __name__)

    @routes.get(BASE)
    def networks() -> Response:
        _params().done()
        return _json(service.networks())

    @routes.get(f"{BASE}/<network>/models")
    def models(network: str) -> Response:
        _params().done()
        return _json(service.models(network))

    @routes.get(f"{BASE}/<network>/models/<model>")
    def card(network: str, model: str) -> Response:
        _params().done()
        return _json(service.card(network, model))

    @routes.get(f"{BASE}/<network>/models/<model>/_sample")
    def one_sample(network: str, model: str) -> Response:
        params = _params()
        task, seed = params.optional("task", low=1, high=20), params.optional("seed", high=SEEDS - 1)
        params.done()
        return _json(service.sample(network, model, task, seed))

    @routes.post(PREDICT)
    def predict(network: str, model: str) -> Response:
        service.bounds.count()
        _params().done()
        return _json(service.predict(network, model, asked.read(request)))

    @routes.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return _failure(error)

    return routes


def _named(network: str) -> dict[str, str]:
    variant = network.removeprefix("dmn_")
    name, description = NETWORKS.get(variant, (network, "A variant that this memviz does not know."))
    return {"name": name, "description": description}


def _params() -> Params:
    return Params({name: request.args.getlist(name) for name in request.args}, shared=())


def _json(body: Any) -> Response:
    text = json.dumps(strict(body), allow_nan=False, separators=(",", ":"))
    return Response(text, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _failure(error: Exception) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        error = ApiError(error.code or 500, error.description or error.name, "a route of docs/playground.md", "")
    elif isinstance(error, UnknownNameError):
        error = ApiError(404, str(error), "a network and a model that exist", "see /api/v1/networks")
    elif isinstance(error, limits.TooMany):
        headers["Retry-After"] = str(math.ceil(error.after))
        error = ApiError(429, str(error), "fewer questions", f"ask again in {math.ceil(error.after)} s")
    elif isinstance(error, WorkerError):
        error = ApiError(503, str(error), "an answer", "ask again; if it happens again, choose another network")
    elif not isinstance(error, ApiError):
        log.exception("a question failed: %s", request.path)
        error = ApiError(500, f"the server failed: {error!r}", "an answer", "report this with the server's output")
    answer = _json(error.body)
    answer.status_code = error.status
    answer.headers.update(headers)
    return answer
