from __future__ import annotations

import json
import re
import shutil
import socket

import pytest
from click.testing import CliRunner

import memviz
from memviz.cli import main
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "copy"
    write_dnc_run(path, steps=6)
    return path


def call(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_shows_an_example(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert re.search(r"^  Example: memviz", result.output, re.MULTILINE)
    assert "\\b" not in result.output  # click's mark that keeps lines apart


@pytest.mark.parametrize("command", ["doctor", "inspect", "lineage", "replay", "repair", "serve"])
def test_a_missing_path_is_one_clear_sentence(command, tmp_path):
    result = call(command, tmp_path / "nothing")
    assert result.exit_code == 1
    assert str(tmp_path / "nothing") in result.output.replace("\n", "")
    assert "Traceback" not in result.output


def test_an_unknown_demo_offers_the_nearest_name():
    result = call("demo", "coppy")
    assert result.exit_code == 1
    assert "Did you mean 'copy'?" in result.output


def test_demo_without_a_name_lists_the_demos():
    result = call("demo")
    assert result.exit_code == 0
    assert "copy" in result.output


def test_inspect_prints_memories_fields_and_ranges(run):
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    for text in ("memory/read_weights", "link_matrix", "derived", "6, steps", "21 time, 2 read_head, 16 slot"):
        assert text in result.output


def test_inspect_json_is_strict_and_complete(run):
    summary = json.loads(call("inspect", run, "--json").output)
    assert summary["records"] == 6
    fields = {f"{entry['memory']}/{entry['name']}": entry for entry in summary["fields"]}
    weights = fields["memory/read_weights"]
    assert weights["low"] >= 0
    assert weights["high"] <= 1.0001
    assert weights["within_range"]
    assert fields["memory/link_matrix"]["derived"]


def test_inspect_of_a_corrupt_trace_names_the_file_and_the_remedy(run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "trace.json").write_text("{not json")
    result = call("inspect", broken)
    assert result.exit_code == 1
    assert "trace.json" in result.output


def test_repair_says_what_it_did_and_changes_nothing_the_second_time(run, tmp_path):
    trace = tmp_path / "copy"
    shutil.copytree(run, trace)
    assert call("repair", trace).exit_code == 0
    before = {path: path.read_bytes() for path in trace.rglob("*") if path.is_file()}
    assert call("repair", trace).exit_code == 0
    assert {path: path.read_bytes() for path in trace.rglob("*") if path.is_file()} == before


def test_a_port_in_use_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = call("serve", run, "--port", port)
    assert result.exit_code == 1
    assert str(port) in result.output
    assert "--port" in result.output


def test_doctor_of_a_healthy_run_has_nothing_to_fail_on(run):
    result = call("doctor", run, "--fail-on", "warning", "--film")
    assert result.exit_code == 0, result.output
    for text in ("copy: 6 records looked at", "over training", "fell from", "grad/memory was not recorded"):
        assert text in result.output


def test_doctor_prints_evidence_and_fails_on_a_finding(tmp_path):
    write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    result = call("doctor", tmp_path / "nan", "--fail-on", "error")
    assert result.exit_code == 3
    for text in ("error    not_finite", "step 40, batch 0, time 6", "write_vectors is the first", "#/run/nan?step=40"):
        assert text in result.output
    assert call("doctor", tmp_path / "nan").exit_code == 0


def test_doctor_json_is_one_strict_object_per_run(run, tmp_path):
    write_dnc_run(tmp_path / "a", steps=3)
    write_dnc_run(tmp_path / "b", steps=3, plant_nan=(1, 2))
    lines = call("doctor", tmp_path, "--json", "--all").output.splitlines()
    reports = [json.loads(line, parse_constant=lambda text: pytest.fail(text)) for line in lines]
    assert [report["run"] for report in reports] == ["a", "b"]
    assert reports[1]["findings"][0]["diagnostic"] == "not_finite"
    kept = json.loads((tmp_path / ".memviz" / "b" / "findings.json").read_text())
    assert kept["content"] == reports[1]


def test_doctor_follows_a_run_to_its_end(tmp_path):
    write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    result = call("doctor", tmp_path / "nan", "--follow", "--fail-on", "error")
    assert result.exit_code == 3
    assert "step 40  error    not_finite" in result.output
    events = [json.loads(line) for line in call("doctor", tmp_path / "nan", "--follow", "--json").output.splitlines()]
    assert {event["kind"] for event in events} <= {"finding", "finding-gone"}


def test_lineage_answers_about_reads_writes_and_slots(run):
    assert "from the write at t=2" in call("lineage", run, "--time", 13).output
    assert len(call("lineage", f"{run}@0").output.splitlines()) >= 2 * 21
    assert "of the read at t=14 by head 1" in call("lineage", run, "--write", 3).output
    facts = json.loads(call("lineage", run, "--time", -1, "--head", 1, "--json").output)
    assert (facts["time"], facts["head"]) == (20, 1)
    assert sum(facts["shares"]) == pytest.approx(1)
    slot = int(memviz.open(run)[-1]["write_weights"][3, 0, 0].argmax())
    assert "t=3 written by write head 0" in call("lineage", run, "--slot", slot).output
    assert json.loads(call("lineage", run, "--slot", slot, "--word", 0, "--json").output)["events"]
    assert "% from the write at t=3" in call("lineage", run, "--slot", slot, "--time", 5).output


def test_lineage_refuses_what_does_not_go_together(run):
    for arguments in (["--write", 1, "--time", 2], ["--word", 1], ["--slot", 1, "--word", 1, "--time", 2]):
        assert call("lineage", run, *arguments).exit_code == 2
    result = call("lineage", run, "--time", 99)
    assert (result.exit_code, result.output) == (1, "Error: there is no time 99: the record has times 0 to 20.\n")
    assert "expected the number of a step" in call("lineage", f"{run}@last").output


def test_query_lists_places_with_links_and_says_how_many_there_are(run):
    result = call("query", run, "phase == 'recall' and read_weights.mass > 0.5", "--limit", 2)
    assert result.exit_code == 0, result.output
    assert result.output.count("#/run/copy?step=") == 2
    assert "the first 2 are listed" in result.stderr
    found = json.loads(call("query", run, "loss < 100", "--json").stdout)
    assert found["count"] == len(found["hits"]) == 6
    assert call("query", run, "loss < -1", "--exit-code").exit_code == 1


def test_a_query_that_cannot_be_read_shows_where(run):
    result = call("query", run, "read_weights.pek > 1")
    assert result.exit_code == 1
    assert "did you mean 'peak'" in result.output
    assert "Traceback" not in result.output
