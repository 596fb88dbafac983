"""The main job, end to end: a real demo trains in another process while the browser watches it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request

import pytest

import memviz

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = 600


@pytest.fixture
def demo(tmp_path, free_port):
    """`memviz demo copy`, serving while it trains."""
    out = tmp_path / "copy"
    command = [sys.executable, "-m", "memviz", "demo", "copy", "--out", str(out), "--port", str(free_port)]
    process = subprocess.Popen(
        [*command, "--steps", str(STEPS), "--every", "10"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process, out, f"http://127.0.0.1:{free_port}"
    process.terminate()
    process.communicate(timeout=30)


def wait_until_served(url, process):
    for _ in range(600):
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing is served at {url}")


def drawn(page, name):
    return page.get_attribute("#scope-root", f"data-{name}")


def wait_for(page, name, expression):
    page.wait_for_function(
        f"() => (value => {expression})(document.querySelector('#scope-root')?.dataset.{name} ?? '')", timeout=60_000
    )


def test_records_appear_while_the_model_trains_and_the_url_restores_the_view(demo, page):
    process, out, url = demo
    wait_until_served(url, process)
    page.goto(f"{url}/#/run/copy")
    wait_for(page, "record", "value !== ''")
    first = int(drawn(page, "record"))

    wait_for(page, "record", f"Number(value) >= {first + 3}")
    assert process.poll() is None, "the record came while the demo was still running"

    page.locator("#scope-root").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    wait_for(page, "time", "value === '1'")
    # While somebody scrubs the address follows a moment later; wait until it names what is on the screen.
    page.wait_for_function(
        "() => location.hash.includes(`step=${document.querySelector('#scope-root').dataset.step}&`)"
        " && location.hash.includes('&t=1&')"
    )
    chosen = {name: drawn(page, name) for name in ("step", "time", "slot", "head", "memory")}
    page.reload()
    wait_for(page, "step", f"value === '{chosen['step']}'")
    wait_for(page, "time", "value === '1'")
    assert {name: drawn(page, name) for name in chosen} == chosen

    step = int(chosen["step"])
    record = memviz.open(out).at(step)
    assert record.step == step
    panels = page.locator("[data-field='memory/write_weights'][data-state=ready]")
    assert panels.count() >= 1
