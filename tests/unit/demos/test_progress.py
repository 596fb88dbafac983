"""What a demo prints: a bar on a terminal, a line now and then elsewhere, and what to do next."""

from __future__ import annotations

import io

from rich.console import Console

from memviz.demos import registry, train
from memviz.demos.progress import Display

COPY = registry.get("copy").plan.but(steps=12, every=5)


class TestDisplay:
    def lines(self, terminal, tmp_path):
        out = io.StringIO()
        with Display(
            "copy", COPY.but(steps=200), "wrong bits", Console(file=out, force_terminal=terminal, width=100)
        ) as display:
            display.recording(tmp_path)
            display.serving("http://127.0.0.1:8321/")
            for done in range(1, 201):
                display.step(done, 1 / done, 0.5, done // 10)
            display.finished(train.Outcome(tmp_path, 200, True, 20, 1.5), serving=True)
        return out.getvalue()

    def test_a_pipe_gets_a_line_now_and_then(self, tmp_path):
        text = self.lines(False, tmp_path)
        assert "\x1b" not in text
        assert text.splitlines() == [
            "training memviz's DNC on copy; Ctrl-C stops",
            f"recording to {tmp_path}",
            "watch it at  http://127.0.0.1:8321/",
            "step 100  loss 0.0100  wrong bits 0.50  records 10",
            "step 200  loss 0.0050  wrong bits 0.50  records 20",
            f"solved after 200 steps, 1.5 s, 20 records in {tmp_path}",
            "still serving  http://127.0.0.1:8321/  until Ctrl-C",
        ]

    def test_a_terminal_gets_a_bar(self, tmp_path):
        text = self.lines(True, tmp_path)
        assert "200/200" in text
        assert "step 100" not in text

    def test_a_run_that_was_not_solved_or_not_served_says_so(self, tmp_path):
        out = io.StringIO()
        with Display("copy", COPY.but(package="dnc", steps=5), "wrong bits", Console(file=out, width=100)) as display:
            display.recording(tmp_path)
            display.finished(train.Outcome(tmp_path, 5, False, 1, 0.1), serving=False)
            display.interrupted()
        assert "the DNC of the package dnc on copy" in out.getvalue()
        assert "not solved in 5 steps" in out.getvalue()
        assert f"memviz serve {tmp_path}" in out.getvalue()
        assert f"stopped; what was recorded is in {tmp_path}" in out.getvalue()

    def test_a_trained_model_is_played_and_not_trained(self, tmp_path):
        out = io.StringIO()
        with Display("copy", COPY, "wrong bits", Console(file=out, width=100), playing=True) as display:
            display.finished(train.Outcome(tmp_path, 0, True, 20, 1.5), serving=False)
        assert out.getvalue().splitlines()[:2] == [
            "playing a trained model, memviz's DNC on copy; Ctrl-C stops",
            f"solved, 1.5 s, 20 records in {tmp_path}",
        ]

    def test_only_one_process_of_several_speaks(self, tmp_path, capsys):
        with Display("copy", COPY, "wrong bits", silent=True) as display:
            display.recording(tmp_path)
            display.step(100, 0.1, 0.5, 1)
            display.finished(train.Outcome(tmp_path, 100, False, 1, 0.1), serving=False)
        assert capsys.readouterr().out == ""

    def test_a_checkpoint_and_a_run_without_a_trace_are_named(self, tmp_path):
        out = io.StringIO()
        with Display("copy", COPY, "wrong bits", Console(file=out, width=200)) as display:
            display.finished(train.Outcome(None, 5, False, 0, 0.1, tmp_path / "c.safetensors"), serving=False)
            display.interrupted()
        assert f"checkpoint in {tmp_path / 'c.safetensors'}" in out.getvalue()
        assert "memviz serve" not in out.getvalue()
        assert "stopped; nothing was recorded" in out.getvalue()
