"""The page Playground of the dashboard, brought by the entry point group `memviz.pages`.

Its settings in `app.server.config`: MEMVIZ_MODELS, folders or files of further networks (`memviz serve --models`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from dash import Dash, html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source
from memviz.demos.playground import limits
from memviz.demos.playground.catalogue import Catalogue, folders_of
from memviz.demos.playground.process import Worker
from memviz.demos.playground.routes import PREDICT, Service, blueprint

SETTING = "MEMVIZ_MODELS"


def layout(_: Source) -> html.Div:
    """The empty element that assets/ fills; Dash never touches what is in it."""
    said = {"story": limits.STORY, "question": limits.QUESTION, "facts": limits.FACTS, "words": limits.WORDS}
    return html.Div(id="playground-root", **{"data-limits": json.dumps(said)})


def register(app: Dash, source: Source) -> Callable[[], None]:
    """Add the routes; what is returned ends the process that holds the networks."""
    given = [Path(folder) for folder in app.server.config.get(SETTING) or ()]
    worker = Worker()
    catalogue = Catalogue(folders_of(checkpoints(), given, source.paths))
    app.server.register_blueprint(blueprint(Service(catalogue, worker)))
    return worker.close


def checkpoints() -> Path:
    """The folder of the networks that come with memviz; it need not exist."""
    return Path(str(resources.files("memviz.demos"))) / "checkpoints"


PAGE = Page("playground", "Playground", layout, register, assets=Path(__file__).parent / "assets", posts=(PREDICT,))
