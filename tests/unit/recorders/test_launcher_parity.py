"""`memviz run` against plain python, on scripts that end in every way that a script can end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

SCRIPTS = {
    "runs to its end": "print('done')",
    "exits with nothing": "import sys; sys.exit()",
    "exits with a number": "import sys; sys.exit(3)",
    "exits with words": "import sys; sys.exit('cannot go on')",
    "raises SystemExit with True": "raise SystemExit(True)",
    "leaves at once": "import os; print('left', flush=True); os._exit(5)",
    "raises with a cause": """
        def inner():
            raise KeyError("slot")
        try:
            inner()
        except KeyError as error:
            raise RuntimeError("the script fails") from error
    """,
    "has a syntax error": "print('never'\n",
    "interrupts itself": "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('never')",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "says goodbye": """
        import atexit, threading
        atexit.register(print, "goodbye")
        threading.Thread(target=print, args=("a thread",)).start()
    """,
    "reads what it is given": "import sys; print([line.strip() for line in sys.stdin]); print(input.__module__)",
    "asks who it is": """
        import __main__, sys, os
        print(__name__, __main__.__dict__ is globals(), sys.modules["__main__"].__file__, __doc__, __package__)
        print(sys.argv, [os.path.basename(path) for path in sys.path[:1]], __builtins__.__name__)
        print(sorted(name for name in globals()), sys.stdin.isatty(), sys.flags.no_user_site)
    """,
    "catches its own signal": """
        import os, signal
        signal.signal(signal.SIGTERM, lambda number, frame: print("caught", number))
        os.kill(os.getpid(), signal.SIGTERM)
    """,
    "fails in a finalizer": """
        class Thing:
            def __del__(self):
                raise ValueError("late")
        Thing()
    """,
    "starts another python": """
        import subprocess, sys
        code = "import sys; print([name for name in sys.modules if 'memviz' in name])"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True))
    """,
    "spawns workers": """
        import multiprocessing
        def square(x):
            return x * x
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(square, [1, 2, 3]), square.__module__)
    """,
}


def run(folder, *line, text="one\ntwo\n"):
    done = subprocess.run(line, cwd=folder, input=text, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, theirs(done.stderr)


def theirs(errors):
    """What the script itself said, without the addresses of its objects."""
    return [re.sub("0x[0-9a-f]+", "0x", said) for said in errors.splitlines() if not said.startswith("memviz: ")]


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_script_ends_as_with_plain_python(case, tmp_path):
    (tmp_path / "train.py").write_text(textwrap.dedent(SCRIPTS[case]))
    arguments = ("train.py", "--every", "7", "-m", "--", "x y")
    plain = run(tmp_path, sys.executable, *arguments)
    assert run(tmp_path, sys.executable, "-m", "memviz", "run", "--every", "2", *arguments) == plain


def test_a_package_runs_as_with_plain_python(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("WORD = 'relative'\n")
    (package / "__main__.py").write_text(
        "import sys\nfrom . import WORD\nprint(WORD, __name__, __package__, __spec__.name, sys.argv[1:], sys.path[0])\n"
        "raise SystemExit(9)\n"
    )
    arguments = ("-m", "pack", "--help", "-x")
    plain = run(tmp_path, sys.executable, *arguments)
    assert plain[0] == 9
    assert run(tmp_path, sys.executable, "-m", "memviz", "run", *arguments) == plain


@pytest.mark.parametrize("line", [("absent.py",), ("-m", "absent")], ids=["script", "module"])
def test_what_is_not_there_is_said_as_python_says_it(line, tmp_path):
    plain = run(tmp_path, sys.executable, *line)
    assert plain[0] != 0
    assert run(tmp_path, sys.executable, "-m", "memviz", "run", *line) == plain


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_from_outside_reaches_the_script_itself(number, tmp_path):
    """The process that was started is the script: no parent stands between them."""
    (tmp_path / "train.py").write_text("import sys, time\nprint('ready', flush=True)\nwhile True: time.sleep(0.05)\n")
    ended = []
    for line in (["train.py"], ["-m", "memviz", "run", "train.py"]):
        with subprocess.Popen(
            [sys.executable, *line], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "ready\n"
            os.kill(process.pid, number)
            _, errors = process.communicate(timeout=60)
            ended.append((process.returncode, theirs(errors)[-1:]))
    assert ended[0] == ended[1]
    assert ended[0][0] == -number
