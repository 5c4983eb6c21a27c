import gzip
import hashlib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from spikewise.data import CATALOG, FileState, KnownFile, download, verify
from spikewise.data.catalog import Archive
from spikewise.data.downloads import fetch_file
from spikewise.errors import ChecksumError, ConfigError, MissingDataError

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """What a web server serves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Range"]))
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(self.headers["Range"][6:-1]) if self.headers["Range"] else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : state.cut.pop(self.path, len(content))])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{running.server_port}"
        yield state
        running.shutdown()


def file_at(server: Server, *paths: str, md5: str | None = MD5) -> KnownFile:
    return KnownFile("set.bin", tuple(server.url + path for path in paths), md5)


def test_a_file_is_fetched_with_progress(server: Server, tmp_path: Path):
    server.files["/a"] = CONTENT
    calls: list[tuple[str, int, int]] = []
    path = fetch_file(file_at(server, "/a"), tmp_path, lambda *state: calls.append(state))
    assert path.read_bytes() == CONTENT
    assert calls[-1] == ("set.bin", len(CONTENT), len(CONTENT))
    assert [file.name for file in tmp_path.iterdir()] == ["set.bin"]


def test_when_a_mirror_fails_the_next_is_asked(server: Server, tmp_path: Path):
    server.files["/good"] = CONTENT
    assert fetch_file(file_at(server, "/gone", "/good"), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/gone", "/good"]


def test_when_a_mirror_serves_something_else_the_next_is_asked(server: Server, tmp_path: Path):
    server.files |= {"/bad": b"<html>error page</html>", "/good": CONTENT}
    assert fetch_file(file_at(server, "/bad", "/good"), tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_is_an_error_and_nothing_is_kept(server: Server, tmp_path: Path):
    server.files["/bad"] = b"something else"
    with pytest.raises(ChecksumError, match=f"another checksum than the published {MD5}"):
        fetch_file(file_at(server, "/bad"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_mirror_at_all_lists_them(server: Server, tmp_path: Path):
    with pytest.raises(MissingDataError, match=r"(?s)/one: HTTP 404.*/two: HTTP 404"):
        fetch_file(file_at(server, "/one", "/two"), tmp_path)


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path):
    server.files["/a"] = CONTENT
    server.cut["/a"] = 100_000
    with pytest.raises(MissingDataError, match="a part already fetched is kept"):
        fetch_file(file_at(server, "/a"), tmp_path)
    assert fetch_file(file_at(server, "/a"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a", None), ("/a", "bytes=65536-")]


def test_halves_of_different_files_are_not_joined(server: Server, tmp_path: Path):
    server.files |= {"/other": b"x" * 300_000, "/good": CONTENT}
    server.cut["/other"] = 100_000
    assert fetch_file(file_at(server, "/other", "/good"), tmp_path).read_bytes() == CONTENT


def test_an_archive_is_unpacked_by_names_alone(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("gzip/one.gz", b"1")
        archive.writestr("../evil", b"2")
    content = packed.read_bytes()
    server.files["/zip"] = content
    file = Archive("all.zip", (f"{server.url}/zip",), hashlib.md5(content).hexdigest(), members=("gzip/one.gz",))
    known = CATALOG["emnist-digits"]
    monkeypatch.setitem(CATALOG, "emnist-digits", type(known)(**{**vars(known), "files": (file,)}))
    folder = download("emnist-digits", tmp_path / "data")
    assert (folder / "one.gz").read_bytes() == b"1"
    assert not (tmp_path / "data" / "evil").exists()
    download("emnist-digits", tmp_path / "data")
    assert len(server.asked) == 1


def test_what_needs_an_account_says_how(tmp_path: Path):
    with pytest.raises(MissingDataError, match=r"Sign in at https://www.kaggle.com"):
        download("chest-xray", tmp_path)
    with pytest.raises(ConfigError, match="Did you mean 'mnist'"):
        download("mnits", tmp_path)


def test_verify_tells_ok_repacked_missing_and_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_data):
    packed = gzip.compress(CONTENT, mtime=1)
    files = tuple(
        KnownFile(name, (), hashlib.md5(packed).hexdigest(), hashlib.sha256(CONTENT).hexdigest())
        for name in ("ok.gz", "repacked.gz", "missing.gz", "wrong.gz", "cut.gz")
    )
    known = CATALOG["mnist"]
    unknown = KnownFile("unknown.gz", (), None)
    monkeypatch.setitem(CATALOG, "mnist", type(known)(**{**vars(known), "files": (*files, unknown)}))
    (tmp_path / "mnist").mkdir()
    for name, content in {
        "ok.gz": packed,
        "repacked.gz": gzip.compress(CONTENT, mtime=2),
        "wrong.gz": gzip.compress(CONTENT[:-1]),
        "cut.gz": packed[:-50],
        "unknown.gz": packed,
    }.items():
        (tmp_path / "mnist" / name).write_bytes(content)
    verdicts = {found.name: found.verdict for found in verify("mnist", tmp_path)}
    assert verdicts == {
        "ok.gz": FileState.OK,
        "repacked.gz": FileState.REPACKED,
        "missing.gz": FileState.MISSING,
        "wrong.gz": FileState.WRONG,
        "cut.gz": FileState.WRONG,
        "unknown.gz": FileState.UNVERIFIED,
    }


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_known_set_can_be_had_and_cited(name):
    known = CATALOG[name]
    assert known.licence
    assert known.citation
    assert known.files or known.manual or known.kind == "embedded"
    assert all(file.urls and file.md5 and len(file.md5) == 32 for file in known.files)
    assert len(set(known.classes)) == len(known.classes)
