"""Functions and HTTP services as stages, against a server of our own on loopback."""

import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from cascade_exp import Cascade
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.stages.function import FunctionStage
from cascade_exp.runtime.stages.service import Service
from tests.evaluating import write_answers
from tests.running import run

CLASSES = ("bad", "good")


class Server(ThreadingHTTPServer):
    """Answers ``good`` to texts with "good" in them, unless ``plan(text, attempt)`` answers."""

    def __init__(self, plan=lambda text, attempt: None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan = plan
        self.asked: list[tuple[str, dict, dict]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def texts(self) -> list[str]:
        return [text for text, _, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        chat = self.path.endswith("/chat/completions")
        text = body["messages"][0]["content"].split("\n")[0] if chat else body["text"]
        with self.server.lock:
            attempt = sum(seen == text for seen in self.server.texts())
            self.server.asked.append((text, body, dict(self.headers)))
        planned = self.server.plan(text, attempt)
        if planned is None:
            answer, confidence = ("good" if "good" in text else "bad"), len(text) / 100
            planned = (200, chat_answer(answer, confidence) if chat else json_answer(answer, text))
        status, given = planned
        content = given.encode() if isinstance(given, str) else json.dumps(given).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "0.05")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def chat_answer(answer: str, confidence: float) -> dict:
    tokens = [{"token": answer, "logprob": math.log(confidence) / 2}] * 2
    return {"choices": [{"message": {"content": f"{answer}."}, "logprobs": {"content": tokens}}]}


def json_answer(answer: str, text: str) -> dict:
    return {"answer": answer, "confidence": len(text) / 100}


@pytest.fixture
def serve():
    servers = []

    def start(*plan) -> Server:
        server = Server(*plan)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def chat(server: Server, **changes) -> Service:
    given = {"url": f"{server.url}/v1/chat/completions", "classes": CLASSES, "model": "m"}
    return Service(**given | {"wait": 0.01} | changes)


TEXTS = ["good", "a long text that is good", "dull", "a long text that is dull", "good, too"]


def first(texts: list[str]):
    """Always "bad", and the more sure the longer the text is."""
    return ["bad"] * len(texts), [len(text) / 100 for text in texts]


def test_a_service_is_asked_only_what_is_deferred_to_it(serve):
    server = serve()
    stages = {"local": FunctionStage("local", first, CLASSES), "cloud": chat(server)}
    cascade = Cascade.of(stages, [0.2], costs=[1, 100])
    found = cascade.predict(TEXTS, batch_size=2)
    assert found.name == ("good", "bad", "bad", "bad", "good")
    assert found.exit_name == ("cloud", "local", "cloud", "local", "cloud")
    assert found.cost.tolist() == [101, 1, 101, 1, 101]
    assert sorted(server.texts()) == sorted([TEXTS[0], TEXTS[2], TEXTS[4]])
    assert found.confidence == pytest.approx([0.04, 0.24, 0.04, 0.24, 0.09])
    _, body, _ = server.asked[0]
    assert body["model"] == "m" and body["logprobs"] is True
    assert body["messages"][0]["content"].endswith("Answer with one of: bad, good.")


def test_plain_json_gives_answers_logits_or_probabilities(serve):
    texts = ["good a", "bad b"]
    answers = serve()
    logits = serve(lambda text, _: (200, {"logits": [0.0, 2.0] if "good" in text else [1.0, 0.0]}))
    shares = serve(lambda text, _: (200, {"probabilities": [0.2, 0.8]}))
    service = {"classes": CLASSES, "style": "json"}
    recorded = Cascade.of({"a": Service(answers.url, **service)}, []).predict(texts)
    assert recorded.name == ("good", "bad") and recorded.confidence.tolist() == [0.06, 0.05]
    for server, expected in ((logits, ("good", "bad")), (shares, ("good", "good"))):
        stages = {"s": Service(server.url, **service)}
        found = Cascade.of(stages, [], metric="max_softmax").predict(texts)
        assert found.name == expected
    assert found.confidence == pytest.approx([0.8, 0.8])
    pairs = Cascade.of({"a": Service(answers.url, **service)}, []).predict([("good", "x")])
    assert pairs.name == ("good",) and answers.asked[-1][1]["text_pair"] == "x"


def test_what_may_pass_is_tried_again_and_bounded(serve):
    server = serve(lambda text, attempt: (503, "busy") if attempt < 2 else None)
    found = Cascade.of({"cloud": chat(server)}, []).predict(["good"])
    assert found.name == ("good",) and len(server.asked) == 3
    limited = serve(lambda text, attempt: (429, "slow down") if attempt < 1 else None)
    started = time.monotonic()
    Cascade.of({"cloud": chat(limited)}, []).predict(["good"])
    assert time.monotonic() - started >= 0.05  # the service said how long to wait
    down = serve(lambda text, attempt: (500, "broken"))
    with pytest.raises(CascadeError, match=r"cloud: http.*status 500: broken \(3 attempts\)"):
        Cascade.of({"cloud": chat(down, retries=2)}, []).predict(["good"])
    assert len(down.asked) == 3


def test_what_will_not_pass_is_not_tried_again(serve):
    server = serve(lambda text, attempt: (401, "who are you"))
    with pytest.raises(CascadeError, match=r"status 401: who are you \(1 attempt\)"):
        Cascade.of({"cloud": chat(server)}, []).predict(["good"])
    assert len(server.asked) == 1


def test_a_slow_or_absent_service_fails_in_time(serve):
    slow = serve(lambda text, attempt: time.sleep(1) or (200, {}))
    with pytest.raises(CascadeError, match=r"ReadTimeout.*\(2 attempts\)"):
        Cascade.of({"cloud": chat(slow, timeout=0.1, retries=1)}, []).predict(["good"])
    gone = Service("http://127.0.0.1:9", CLASSES, "json", retries=1, wait=0.01)
    with pytest.raises(CascadeError, match=r"ConnectError.*\(2 attempts\)"):
        Cascade.of({"cloud": gone}, []).predict(["good"])


def test_the_previous_stage_answers_where_a_service_fails(serve):
    server = serve(lambda text, _: (500, "broken") if "dull" in text else None)
    stages = {
        "local": FunctionStage("local", first, CLASSES),
        "cloud": chat(server, retries=0, on_error="previous"),
    }
    found = Cascade.of(stages, [0.2], costs=[1, 100]).predict(TEXTS)
    assert found.exit_name == ("cloud", "local", "local", "local", "cloud")
    assert found.name[2] == "bad" and found.confidence[2] == 0.04
    assert found.note[2].endswith("status 500: broken (1 attempt)")
    assert [note is None for note in found.note] == [True, True, False, True, True]
    assert found.reason == (None,) * 5
    alone = Cascade.of({"cloud": stages["cloud"]}, []).predict(["dull", "good"])
    assert alone.name == (None, "good") and "status 500" in alone.reason[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"choices": []}, "an answer of another form"),
        ("no json", "no JSON"),
        (chat_answer("perhaps", 0.5), r"answered 'perhaps\.', expected one of bad, good"),
        (chat_answer("good or bad", 0.5), "expected one of bad, good"),
        ({"choices": [{"message": {"content": "good"}}]}, "no log-probabilities"),
    ],
)
def test_an_answer_that_says_nothing_is_one_line(serve, given, said):
    server = serve(lambda text, attempt: (200, given))
    with pytest.raises(CascadeError, match=said) as raised:
        Cascade.of({"cloud": chat(server)}, []).predict(["good"])
    assert "\n" not in str(raised.value)


def test_a_last_stage_needs_no_confidence(serve):
    server = serve(lambda text, _: (200, {"choices": [{"message": {"content": "Good"}}]}))
    quiet = chat(server, confidence="none")
    found = Cascade.of({"local": first_of_two, "cloud": quiet}, [0.5]).predict(["x"])
    assert found.name == ("good",) and np.isnan(found.confidence[0])
    assert "logprobs" not in server.asked[0][1]
    with pytest.raises(CascadeError, match="confidence=none, but it is not the last stage"):
        Cascade.of({"cloud": quiet, "local": first_of_two}, [0.5])


def first_of_two(texts: list[str]):
    return [0] * len(texts), [0.1] * len(texts)


def test_the_key_comes_from_the_environment_alone(serve, monkeypatch):
    server = serve()
    with pytest.raises(CascadeError, match="key_variable=MY_KEY: not set in the environment"):
        chat(server, key_variable="MY_KEY")
    monkeypatch.setenv("MY_KEY", "secret")
    service = chat(server, key_variable="MY_KEY")
    Cascade.of({"cloud": service}, []).predict(["good"])
    assert server.asked[0][2]["Authorization"] == "Bearer secret"
    assert "secret" not in repr(service)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda items: 1 / 0, "f: division by zero"),
        (lambda items: ([0], [0.5]), "1 answers and 1 confidences, expected"),
        (lambda items: (["fine", "good"], [0.5, 0.5]), "f: answer=fine: expected one of bad, good"),
        (lambda items: ([0, 2], [0.5, 0.5]), r"answer 2, expected a class: 0\.\.1"),
        (lambda items: ([0, 1], [0.5, float("nan")]), "NaN or an infinity"),
        (lambda items: np.zeros((3, 2)), r"gave an array \[3, 2\], expected logits"),
        (lambda items: "good", "expected logits"),
    ],
)
def test_what_a_function_may_not_give_is_one_line(function, said):
    stage = FunctionStage("f", function, CLASSES)
    with pytest.raises(CascadeError, match=said) as raised:
        Cascade.of({"f": stage}, []).predict(["a", "b"])
    assert "\n" not in str(raised.value)


def test_a_function_that_gives_logits_has_every_metric():
    logits = np.array([[3.0, 0.0], [0.2, 0.0], [0.0, 1.0]])
    stages = {"a": lambda items: logits[[int(i) for i in items]], "b": lambda items: -logits[:1]}
    found = Cascade.of(stages, [2.0], metric="logits_margin").predict([0], batch_size=1)
    assert (found.answer[0], found.exit[0], found.confidence[0]) == (0, 0, 3.0)
    found = Cascade.of(stages, [2.0], metric="logits_margin").predict([1], batch_size=1)
    assert (found.answer[0], found.exit[0]) == (1, 1)


def test_recorded_black_boxes_are_run_by_what_is_given_for_them(tmp_path):
    rng = np.random.default_rng(0)
    truth, said = {}, {}
    for split in ("selection", "report"):
        labels = rng.integers(0, 2, 80)
        said[split] = {
            "local": (np.where(rng.random(80) < 0.7, labels, 1 - labels), rng.random(80)),
            "cloud": (labels, np.ones(80)),
        }
        truth[split] = labels
        write_answers(tmp_path / "rec", {"local": 1, "cloud": 9}, split, labels, said[split])
    fixed = ("cascade=stages", "cascade.stages=[local,cloud]", "threshold.rules=[fixed]")
    quick = ("logger=none", "analyses=false", "plots=false", "bootstrap.resamples=10")
    given = (f"recordings={tmp_path / 'rec'}", "metric=recorded", "threshold.fixed=[0.5]")
    run("evaluate", tmp_path / "job", *given, *fixed, *quick)

    def replay(name: str):
        answers, confidence = said["report"][name]
        return lambda items: (answers[items], confidence[items])

    with pytest.raises(CascadeError, match=r"weights of local are not known.*stages=\{'local'"):
        Cascade.load(tmp_path / "job")
    with pytest.raises(CascadeError, match=r"stages=cloudy: .*did you mean 'cloud'"):
        Cascade.load(tmp_path / "job", stages={"cloudy": replay("cloud")})
    stages = {name: replay(name) for name in ("local", "cloud")}
    found = Cascade.load(tmp_path / "job", stages=stages).predict(range(80), batch_size=7)
    point = json.loads((tmp_path / "job" / "results" / "operating_point.json").read_text())
    report = point["expected"]["report"]
    assert (found.answer == truth["report"]).mean() == pytest.approx(report["score"])
    assert found.exit_rates.tolist() == pytest.approx(report["exit_rates"])
    assert found.cost.mean() == pytest.approx(report["cost"])
