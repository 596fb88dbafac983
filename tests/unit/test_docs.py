"""The documentation names everything that exists, and every link and command in it works."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from memviz.cli import main
from memviz.fields import CATALOGUE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page: str) -> set[str]:
    text = (ROOT / "docs" / page).read_text()
    return {line.lstrip("# ").strip("` ") for line in text.splitlines() if line.startswith("#")}


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_a_heading_and_an_example(command):
    assert f"memviz {command}" in headings("cli.md")
    assert "Example: memviz" in main.commands[command].help


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_option_of_a_command_is_documented(command):
    text = (ROOT / "docs" / "cli.md").read_text()
    for parameter in main.commands[command].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert f"`{option}" in text, f"docs/cli.md does not mention {option} of memviz {command}"


def test_every_field_has_a_heading():
    assert headings("fields.md") >= set(CATALOGUE)


def test_the_field_page_is_what_the_catalogue_says():
    spec = importlib.util.spec_from_file_location("make_field_docs", ROOT / "scripts" / "make_field_docs.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "fields.md").read_text() == script.document(), "run scripts/make_field_docs.py"


def test_every_adapter_has_a_heading():
    own = {point.name for point in entry_points(group="memviz.adapters") if point.value.startswith("memviz.")}
    assert own
    assert headings("adapters.md") >= own


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_every_diagnostic_has_a_heading():
    own = {point.name for point in entry_points(group="memviz.diagnostics") if point.value.startswith("memviz.")}
    assert own
    assert headings("diagnostics.md") >= own


def test_the_page_of_diagnostics_is_what_they_say():
    calibrate = script("calibrate_diagnostics")
    page = (ROOT / "docs" / "diagnostics.md").read_text()
    written = calibrate.document(calibrate.calibration_in(page))
    assert page == written, "run scripts/calibrate_diagnostics.py --docs-only"


def test_the_tables_and_the_plot_of_the_demos_are_what_was_measured():
    report = script("report_demos")
    figures = report.load()
    assert report.PAGE.read_text() == report.page(figures, report.PAGE.read_text()), "run scripts/report_demos.py"
    assert report.PLOT.read_text() == report.plot(figures), "run scripts/report_demos.py"


def test_every_demo_has_a_heading():
    from memviz.demos import registry

    assert headings("demos.md") >= set(registry.names())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_exist(page):
    for line in re.findall(r"^\s{4}(?:\$ )?(?:\.venv/bin/)?memviz (.+)$", page.read_text(), re.MULTILINE):
        words = shlex.split(line.split("#")[0])
        assert words[0] in main.commands or words[0].startswith("-"), f"{page.name}: memviz {line}"
        options = {option for parameter in main.commands[words[0]].params for option in parameter.opts}
        for word in words[1:]:
            if word.startswith("--"):
                assert word.split("=")[0] in {*options, *_secondary(words[0])}, f"{page.name}: memviz {line}"


def _secondary(command):
    return {option for parameter in main.commands[command].params for option in parameter.secondary_opts}
