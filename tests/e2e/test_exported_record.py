"""A record as one HTML file: it opens from a disk without a network, scrubs, and shows lineage."""

from __future__ import annotations

import pytest

import memviz
from memviz.cli import main
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

HOSTILE = "x</script><script>document.title='broken'</script><b>"


@pytest.fixture(scope="module")
def copy_run(tmp_path_factory):
    return write_dnc_run(tmp_path_factory.mktemp("exported") / HOSTILE.replace("/", "_"), steps=3)


@pytest.fixture(scope="module")
def exported(copy_run, tmp_path_factory):
    from click.testing import CliRunner

    path = tmp_path_factory.mktemp("file") / "copy.html"
    result = CliRunner().invoke(main, ["export", str(copy_run.path), "-o", str(path), "--time", "16", "--slot", "9"])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def page(new_page, forgiven):
    forgiven.append("leaves this machine: file:///")  # the file itself
    page = new_page(color_scheme="light")
    page.context.set_offline(True)
    requests = page.requests = []
    page.on("request", lambda request: requests.append(request.url))
    return page


def opened(page, path, hash=""):
    page.goto(path.as_uri() + hash)
    page.wait_for_function("() => document.querySelector('#scope-root')?.dataset.state === 'ready'")


def test_it_scrubs_and_reads_out_exact_values_without_a_network(page, exported, copy_run):
    opened(page, exported)
    assert page.evaluate("document.querySelector('#scope-root').dataset.time") == "16"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    page.wait_for_function(
        "() => { const d = document.querySelector('#scope-root').dataset; return d.time === '17' && d.slot === '10'; }"
    )
    record = memviz.open(copy_run)[-1]
    answer = page.evaluate(
        "async () => (await (await fetch('/api/v1/runs/x/records/0/cell?memory=memory&time=17&slot=10')).json()).values"
    )
    shown = {one["id"]: one.get("value", one.get("values")) for one in answer}
    assert shown["memory/read_weights:1"] == record["read_weights"][17, 0, 1, 10]
    assert shown["memory/memory"] == record["memory"][17, 0, 10].tolist()
    assert shown["model/output"] == record["model/output"][17, 0].tolist()
    page.locator("#scope-root .sc-value[data-exact=true]").first.wait_for()
    assert [url for url in page.requests if not url.startswith(("data:", "blob:"))] == [exported.as_uri()]


def test_lineage_is_what_memviz_says(page, exported, copy_run):
    opened(page, exported)
    page.keyboard.press("g")
    page.wait_for_function("() => document.querySelector('#lineage-root')?.dataset.state === 'ready'")
    expected = memviz.lineage(memviz.open(copy_run)[-1], 16, 0).text()
    label = page.locator("#lineage-root .ln-arcs canvas").get_attribute("aria-label")
    assert expected in label
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('#lineage-root').dataset.time === '15'")
    expected = memviz.lineage(memviz.open(copy_run)[-1], 15, 0).text()
    page.wait_for_function(
        "text => document.querySelector('#lineage-root .ln-arcs canvas').getAttribute('aria-label').includes(text)",
        arg=expected,
    )
    page.keyboard.press("d")
    page.locator("#lineage-root .ln-destroyed canvas").wait_for()


def test_a_link_into_the_file_opens_there_and_back_undoes(page, exported):
    opened(page, exported)
    page.keyboard.press("g")
    page.wait_for_function("() => location.hash.includes('view=lineage')")
    page.go_back()
    page.wait_for_function("() => !document.querySelector('#scope-page').hidden")


def test_names_are_text_and_the_file_says_what_it_is(page, exported, copy_run):
    opened(page, exported)
    assert page.title() == f"{copy_run.path.name} · memviz"
    assert page.locator("#crumbs b").first.inner_text() == copy_run.path.name
    page.locator("#about-file").click()
    said = page.locator("dialog.of-about").inner_text()
    assert copy_run.path.name in said
    assert "Everything that the pages show of this record is in it." in said


def test_what_is_not_in_the_file_is_said(page, exported):
    opened(page, exported)
    error = page.evaluate("async () => (await (await fetch('/api/v1/runs/x/records/1')).json()).error.what")
    assert error == "record 2 is not in this file"
