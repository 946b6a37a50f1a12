"""Whether the hub can be asked: from the cache, from a server that answers, from none."""

import http.server
import threading

import huggingface_hub.constants as constants
import pytest

from cascade_exp.hub import hub_has


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)


def test_nothing_cached_and_nobody_answers():
    assert not hub_has("someone/something")


def test_a_cached_file_is_enough_even_offline(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--something" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert not hub_has("someone/something")
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub_has("someone/something")
    assert not hub_has("someone/something-else")


@pytest.mark.parametrize("offline", [False, True])
def test_a_server_is_asked_unless_the_user_works_offline(monkeypatch, offline):
    asked = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    try:
        assert hub_has("someone/something") is not offline
        assert len(asked) == (not offline)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
