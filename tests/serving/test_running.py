"""The command, as a process: it starts, says where, stops when it is told, and loses nothing that it took."""

import contextlib
import http.client
import json
import re
import signal
import socket
import sys
import threading
import urllib.request

import pytest
from starting import started

from waiting import LONG, wait_until

PNG = {"Content-Type": "image/png"}


def post(port: int, body: bytes, path: str = "/predict") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    with contextlib.closing(connection):
        connection.request("POST", path, body, PNG)
        response = connection.getresponse()
        return response.status, response.read()


def in_flight(port: int) -> int:
    """Requests that the server has, by its own account."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LONG) as answer:
        return int(re.search(r"spikewise_requests_in_flight (\d+)", answer.read().decode())[1])


def is_closed(port: int) -> bool:
    with contextlib.closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_a_server_finishes_what_it_took_when_it_is_stopped(run, digits):
    with started(run.folder, "--window", 1000) as (process, port), contextlib.ExitStack() as held:
        assert post(port, digits[0])[0] == 200
        half = held.enter_context(socket.create_connection(("127.0.0.1", port)))  # asks while the server stops
        half.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n")
        found: list[tuple[int, bytes]] = []
        threads = [threading.Thread(target=lambda: found.append(post(port, digits[1]))) for _ in range(20)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(found) + in_flight(port) >= 20)  # all are in the window of a second, if it is not over
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_closed(port))
        half.sendall(f"Content-Length: {len(digits[0])}\r\n\r\n".encode() + digits[0])
        answer = b"".join(iter(lambda: half.recv(65536), b""))
        for thread in threads:
            thread.join()
        _, errors = process.communicate(timeout=LONG)
        assert process.returncode == 0
    assert [status for status, _ in found] == [200] * 20
    assert {json.loads(body)["answers"][0]["label"] for _, body in found} == {
        json.loads(found[0][1])["answers"][0]["label"]
    }
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert "Traceback" not in errors
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_slow_and_broken_clients_leave_the_server_as_it_was(run, digits):
    with started(run.folder) as (process, port):
        for said in (
            b"",
            b"\0\0\0\0",
            b"GET",
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n\r\nx",
        ):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(said)
        assert post(port, digits[0])[0] == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LONG)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "There is no nowhere"),
        (["RUN", "--host", "0.0.0.0"], "a token is needed"),
        (["RUN", "--host", "nowhere.invalid", "--token-file", "TOKEN"], "There is no address"),
        (["RUN", "--token-file", "missing"], "cannot be read"),
        (["RUN", "--port", "TAKEN"], "Choose another --port"),
        (["RUN", "--network", "x"], "x"),
    ],
)
def test_mistakes_of_the_command_are_one_message(run, tmp_path, arguments, words, monkeypatch, capsys):
    from spikewise.cli import main as entry

    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("a-token-of-sufficient-length")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"RUN": str(run.folder), "TOKEN": "token", "TAKEN": str(taken.getsockname()[1])}
        monkeypatch.setattr(sys, "argv", ["spikewise", "serve", *(known.get(one, one) for one in arguments)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
    errors = capsys.readouterr().err
    assert stop.value.code == 2
    assert words in errors
    assert "Traceback" not in errors
