"""`memviz export` from a shell."""

from __future__ import annotations

import io

import numpy as np
import pytest
from click.testing import CliRunner

import memviz
from memviz.cli import main
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def copy_run(tmp_path_factory):
    return write_dnc_run(tmp_path_factory.mktemp("export") / "copy", steps=3, times=9, slots=8, words=6)


@pytest.fixture
def export(copy_run, tmp_path, monkeypatch):
    """Run the command on a step of the run, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words, at="": CliRunner().invoke(main, ["export", f"{copy_run.path}{at}", *words])


def test_the_name_of_the_file_says_the_format(export, tmp_path, copy_run):
    result = export("--figure", "panel:read_weights", "--head", "1", "--time", "-1", "-o", "reads.npz", at="@20")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "reads.npz") as arrays:
        expected = memviz.open(copy_run).at(20)["read_weights"][-1, 0, 1]
        np.testing.assert_array_equal(arrays["memory/read_weights"], expected)
    assert "step 20 of copy" in result.stderr
    assert not list(tmp_path.glob("*.part"))


def test_without_a_name_the_file_is_named_after_what_it_is(export, tmp_path):
    assert export("--figure", "panel:usage", "--format", "csv").exit_code == 0
    assert (tmp_path / "copy-step40-usage.csv").exists()


def test_a_dash_is_standard_output(export):
    result = export("--figure", "panel:usage", "--format", "npz", "-o", "-")
    with np.load(io.BytesIO(result.stdout_bytes)) as arrays:
        assert arrays["memory/usage"].shape == (9, 8)


def test_the_record_itself_is_one_html_file(export, tmp_path):
    result = export("-o", "copy.html", "--time", "4", "--slot", "2")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "copy.html").read_text()
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    assert "not in it" not in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.gif"], "no format named 'gif'"),
        (["--figure", "nmt", "-o", "x.png"], "Did you mean 'ntm'?"),
        (["--figure", "dmn", "-o", "x.png"], "episodic_attention"),
        (["--figure", "panel:nothing", "-o", "x.png"], "no field 'nothing'"),
        (["--figure", "panel:memory", "--time", "9", "-o", "x.npz"], "times 0 to 8"),
        (["--item", "3", "-o", "x.csv"], "items 0 to 0"),
        (["--figure", "panel:usage", "-o", "no/x.csv"], "cannot be written"),
    ],
)
def test_an_error_is_a_sentence(export, tmp_path, words, said):
    result = export(*words)
    assert result.exit_code == 1
    assert said in result.output
    assert not list(tmp_path.iterdir())
