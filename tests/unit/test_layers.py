"""Rooms know only the rooms below them, checked on the imports that run when a module is loaded."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("recorders", "dashboards", "demos")
HEAVY = {"torch", "dash", "plotly", "visdom", "flask", "waitress", "dash_mantine_components", "dash_ag_grid"}
MAY_IMPORT = {
    "memviz": (set(), set()),
    "recorders": (set(), {"torch"}),
    "dashboards": (set(), HEAVY - {"torch"}),
    "demos": ({"recorders", "dashboards"}, {"torch", "flask", "dash"}),
}


def eager_imports(tree: ast.Module) -> set[str]:
    """Names of the modules imported at load time: not inside functions, not under TYPE_CHECKING."""
    found: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        else:
            todo.extend(ast.iter_child_nodes(node))
    return found


def violations(room: str, source: str) -> set[str]:
    rooms, heavy = MAY_IMPORT[room]
    wrong = set()
    for name in eager_imports(ast.parse(source)):
        parts = name.split(".")
        if parts[0] == "memviz" and len(parts) > 1 and parts[1] in ROOMS and parts[1] not in {room, *rooms}:
            wrong.add(name)
        if parts[0] in HEAVY - heavy or parts[0] in ROOMS:
            wrong.add(name)
    return wrong


MODULES = [(room, path) for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize(("room", "path"), MODULES, ids=lambda value: str(value).removeprefix(str(ROOT)))
def test_a_room_imports_only_what_it_may(room, path):
    assert violations(room, path.read_text()) == set()


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("memviz", "import torch"),
        ("memviz", "from memviz.recorders import attach"),
        ("recorders", "from memviz import dashboards"),
        ("dashboards", "import torch.nn"),
        ("dashboards", "from memviz.demos.models import DNC"),
        ("demos", "import recorders"),
    ],
)
def test_a_planted_violation_is_found(room, line):
    assert violations(room, line)


def test_imports_inside_functions_and_for_types_are_free():
    source = "def f():\n    import torch\nif TYPE_CHECKING:\n    from memviz.recorders import attach\n"
    assert violations("memviz", source) == set()
