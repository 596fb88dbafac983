"""The routes, asked as the seed's page asked them, and as nobody should."""

from __future__ import annotations

import io
import json
import threading

import pytest

from memviz.demos.playground import limits
from memviz.demos.playground.process import WorkerError

BASE = "/api/v1/networks"
PLUS = f"{BASE}/dmn_plus/models/plus-1"
STORY = "Mary moved to the garden.\nJohn went to the office."
ASKED = {"story": STORY, "question": "Where is Mary?"}


def good(answer):
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def error(answer, status):
    assert answer.status_code == status, answer.text
    found = answer.json["error"]
    assert set(found) >= {"what", "expected", "remedy"}
    return found


def test_the_way_of_the_older_page_through_the_routes(client):
    """Networks, the models of the first, the first of these, a sample of it, its prediction: shapes as they were."""
    network = good(client.get(BASE))[1]
    assert network["name"] == "DMN+"
    assert network["description"]
    (model,) = good(client.get(f"{BASE}/{network['id']}/models"))
    assert {"id", "name", "description"} <= set(model)
    card = good(client.get(f"{BASE}/{network['id']}/models/{model['id']}"))
    assert {"id", "name", "description", "vocab", "samples", "dim", "memory_hops", "babi_id"} <= set(card)
    sample = card["samples"][0]
    answer = good(client.post(f"{PLUS}/_predict", json={"story": sample["C"], "question": sample["Q"]}))
    assert isinstance(answer["confidence"], str)
    assert float(answer["confidence"]) == pytest.approx(answer["probability"], rel=1e-6)
    assert len(answer["episodes"]) == card["memory_hops"]
    assert [len(gates) for gates in answer["episodes"]] == [len(answer["facts"])] * card["memory_hops"]
    assert answer["facts"] == sample["C"].split("\n")


def test_a_card_says_what_it_is_and_how_good(client):
    card = good(client.get(PLUS))
    assert card["families"] == [{"id": 1, "name": "Single Supporting Fact", "accuracy": 87.5}]
    assert card["training"]["data"] == "stories made on the spot"
    assert card["training"]["steps"] == 300
    assert card["hyperparameters"]["hops"] == 2
    assert {word for sample in card["samples"] for word in sample["Q"].lower().strip("?").split()} <= set(card["vocab"])


def test_a_card_is_asked_for_once(client):
    for _ in range(3):
        good(client.get(PLUS))
    assert len(client.service.worker.asked) == 1


def test_a_sample_can_be_had_again(client):
    first = good(client.get(f"{PLUS}/_sample"))
    again = good(client.get(f"{PLUS}/_sample?task={first['task']}&seed={first['seed']}"))
    assert again == first
    assert "\n".join(first["facts"]) == first["story"]
    wanted = good(client.get(f"{BASE}/dmn_batch/models/batch-soft/_sample?task=6&seed=1"))
    assert wanted["answer"] in ("yes", "no")
    assert "task 2" in error(client.get(f"{PLUS}/_sample?task=2"), 404)["what"]


@pytest.mark.parametrize(
    "query", ["task=x", "task=0", "task=21", "seed=-1", "seed=1000000", "seed=1&seed=2", "sead=1", "v=1"]
)
def test_a_wrong_parameter_is_refused(client, query):
    error(client.get(f"{PLUS}/_sample?{query}"), 400)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (f"{BASE}/none/models", "dmn_plus"),
        (f"{BASE}/none/models/plus-1", "dmn_plus"),
        (f"{BASE}/dmn_plus/models/plus", "Did you mean 'plus-1'"),
        (f"{BASE}/dmn_plus/models/..%2Fplus-1", "plus-1"),
        (f"{BASE}/dmn_plus/models/%00", "plus-1"),
        (f"{BASE}/dmn_plus/models/<img src=x>/_sample", "plus-1"),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(client, path, says):
    answer = client.get(path)
    if answer.status_code == 404 and answer.mimetype != "application/json":
        return  # an encoded slash is another route
    assert says in error(answer, 404)["what"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"3", 400),
        (b'"text"', 400),
        (b"NaN", 400),
        (b"1" * 5000, 400),
        (b"[" * 50_000, 400),
        (b'{"a":' * 20_000, 400),
        (b"\xff\xfe", 400),
        (b"{}", 400),
        (b'{"story": "Mary moved."}', 400),
        (b'{"question": "Where is Mary?"}', 400),
        (b'{"story": null, "question": "Where is Mary?"}', 400),
        (b'{"story": ["Mary moved."], "question": "Where is Mary?"}', 400),
        (b'{"story": {"0": "Mary"}, "question": "Where is Mary?"}', 400),
        (b'{"story": 1e999, "question": true}', 400),
        (b'{"story": "Mary moved.", "question": "Where is Mary?", "model": "../x"}', 400),
        (b'{"story": "\\ud800", "question": "Where is Mary?"}', 422),
        (b'{"story": "\\u0000", "question": "Where is Mary?"}', 422),
        (b'{"story": "", "question": ""}', 422),
        (json.dumps({"story": "x" * (limits.STORY + 1), "question": "Where?"}).encode(), 413),
        (json.dumps({"story": "Mary moved.", "question": "x" * (limits.QUESTION + 1)}).encode(), 413),
        (json.dumps({"story": "x" * 2**20, "question": "Where?"}).encode(), 413),
        (b" " * (2**20), 413),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_hostile_body_is_refused_clearly(client, body, status):
    answer = client.post(f"{PLUS}/_predict", data=body, content_type="application/json")
    found = error(answer, status)
    assert len(answer.data) < 4096
    assert found["what"]
    good(client.post(f"{PLUS}/_predict", json=ASKED))


def test_a_body_of_unknown_length_is_refused(client):
    answer = client.post(
        f"{PLUS}/_predict",
        content_type="application/json",
        input_stream=io.BytesIO(b" " * 2**20),
        environ_overrides={"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    )
    error(answer, answer.status_code)
    assert answer.status_code in (400, 413)


def test_markup_is_text_and_named_as_unknown(client):
    answer = client.post(f"{PLUS}/_predict", json={"story": "<script>alert(1)</script>", "question": "Where is Mary?"})
    assert answer.mimetype == "application/json"
    assert error(answer, 422)["unknown"] == {"story": ["<script>alert(1)</script>"], "question": []}


def test_many_questions_are_held_back(networks, make_client):
    client = make_client(networks, bounds=limits.Bounds(rate=1e-9, burst=2))
    for _ in range(2):
        good(client.post(f"{PLUS}/_predict", json=ASKED))
    answer = client.post(f"{PLUS}/_predict", json=ASKED)
    error(answer, 429)
    assert int(answer.headers["Retry-After"]) >= 1
    # Reading about models goes on.
    good(client.get(PLUS))


class Stuck:
    """A worker that answers when it is told to."""

    def __init__(self):
        self.go, self.busy = threading.Event(), threading.Semaphore(0)

    def ask(self, message):
        self.busy.release()
        self.go.wait(60)
        raise WorkerError("no answer within 60 seconds; the network was stopped")


def test_no_more_wait_than_may_and_a_network_that_hangs_is_said(networks, make_client):
    worker = Stuck()
    client = make_client(networks, worker=worker, bounds=limits.Bounds(waiting=2))
    answers = []

    def ask():
        answers.append(client.application.test_client().post(f"{PLUS}/_predict", json=ASKED))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
        worker.busy.acquire()
    # Both places are taken: the next is told at once, and what needs no network is answered.
    error(client.post(f"{PLUS}/_predict", json=ASKED), 429)
    good(client.get(BASE))
    good(client.get(f"{PLUS}/_sample"))
    worker.go.set()
    for thread in threads:
        thread.join()
    for answer in answers:
        assert "stopped" in error(answer, 503)["what"]


def test_a_checkpoint_that_cannot_be_loaded_says_why(write, make_client, tmp_path):
    write(tmp_path / "gone", variant="plus", task_options={"facts": 20})
    client = make_client(tmp_path)
    path = client.service.catalogue.model("dmn_plus", "gone").path
    data = bytearray(path.read_bytes())
    path.write_bytes(bytes(data).replace(b"model/words.weight", b"model/wards.weight"))
    said = error(client.get(f"{BASE}/dmn_plus/models/gone"), 500)["what"]
    assert "words.weight" in said
    error(client.post(f"{BASE}/dmn_plus/models/gone/_predict", json=ASKED), 500)


def test_nothing_there_is_an_empty_list(make_client, tmp_path):
    assert good(make_client(tmp_path).get(BASE)) == []
