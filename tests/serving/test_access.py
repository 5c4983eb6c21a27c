"""Who may ask, and by what name."""

import base64

import pytest

from spikewise.errors import ConfigError
from spikewise.serving.guard import Guard, is_loopback
from spikewise.serving.tokens import token_of

TOKEN = "a-token-of-sufficient-length"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.1.7"}, 200),  # an address cannot be bent to another one
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8000"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "snn.example", "origin": "https://snn.example"}, 200),
        ({"host": "evil.example", "origin": "https://snn.example"}, 421),
    ],
)
def test_only_known_names_and_own_pages_are_answered(serving, headers, status):
    with serving(guard=Guard.of(None, ["snn.example"])) as client:
        found = client.get("/v2/models", headers=headers)
    assert found.status_code == status
    assert status == 200 or set(found.json()) == {"error"}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}", 200),
        ("", 401),
        ("Bearer", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Digest {TOKEN}", 401),
        ("Basic !!!", 401),
        ("Basic /w==", 401),
    ],
)
def test_a_token_is_asked_for_everywhere_but_by_those_who_watch(serving, said, status):
    with serving(guard=Guard.of(TOKEN)) as client:
        headers = {"authorization": said}
        for path in ("/", "/upload", "/metrics", "/openapi.json", "/v2/models"):
            assert client.get(path, headers=headers).status_code == status
        found = client.post("/predict", content=b"x", headers=headers)
        assert (found.status_code == 401) == (status == 401)
        assert status != 401 or "Basic" in found.headers["www-authenticate"]
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in between", "mit-Umläuten-über-16-Zeichen", "x" * 20 + "\n"]
)
def test_a_token_that_protects_little_is_refused(token):
    with pytest.raises(ConfigError, match="token"):
        Guard.of(token)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("myhost", False), ("", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine_s_own(host, own):
    assert is_loopback(host) == own


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEWISE_TOKEN", TOKEN)
    assert token_of(None) == TOKEN
    (tmp_path / "token").write_text("another-token-of-length\n")
    assert token_of(tmp_path / "token") == "another-token-of-length"
    (tmp_path / "empty").write_text("\n")
    for name, words in (("empty", "is empty"), ("none", "cannot be read"), (".", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            token_of(tmp_path / name)
    monkeypatch.delenv("SPIKEWISE_TOKEN")
    assert token_of(None) is None
