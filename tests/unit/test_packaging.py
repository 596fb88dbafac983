"""What is installed: the version, the entry points, the package data, and an import that stays light."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import memviz

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "dash", "plotly", "visdom", "tensorstore")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_version_is_stated_once_and_matches_the_changelog():
    assert importlib.metadata.version("memviz") == memviz.__version__
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == memviz.__version__


def test_the_public_names_resolve_and_are_complete():
    for name in memviz.__all__:
        assert getattr(memviz, name) is not None
    assert set(memviz.__all__) == set(memviz._HOMES) | {"__version__"}


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="attach"):
        memviz.atach  # noqa: B018 - the access itself is what is tested


def test_importing_memviz_or_its_cli_loads_nothing_heavy():
    loaded = run(f"import sys, memviz, memviz.cli; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_the_command_and_the_adapters_are_entry_points():
    points = importlib.metadata.entry_points()
    assert [p.value for p in points.select(group="console_scripts", name="memviz")] == ["memviz.cli:main"]
    for point in points.select(group="memviz.adapters"):
        if point.value.startswith("memviz."):
            assert point.load() is not None


def test_the_package_carries_its_assets_and_types():
    assert importlib.resources.files("memviz").joinpath("py.typed").is_file()
    assets = importlib.resources.files("memviz.dashboards").joinpath("assets")
    assert assets.joinpath("theme.css").is_file()
    assert importlib.resources.files("memviz.demos.playground").joinpath("assets/90_page.js").is_file()


def test_every_folder_of_code_is_a_package():
    for room in ("memviz", "recorders", "dashboards", "demos"):
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_every_folder_of_assets_is_package_data():
    """What `pip install` copies: the patterns of pyproject.toml reach every script, style and picture."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = set()
    for package, patterns in settings.items():
        folder = ROOT / package.removeprefix("memviz.").replace(".", "/")
        packed |= {path for pattern in patterns for path in folder.glob(pattern)}
    for room in ("dashboards", "demos"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".js", ".css", ".svg", ".safetensors") and path.is_file():
                assert path in packed, f"{path} is not in [tool.setuptools.package-data]"
