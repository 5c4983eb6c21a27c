"""Tables in a terminal: no figure is cut or broken, whatever the width, and nothing is left out unsaid."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from spikewise.api import Run
from spikewise.cli.console import print_place, print_places, print_rows, print_text
from spikewise.cli.layout import GAP, parts, wrapped

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(width: int, *words: object) -> list[str]:
    """The lines that `spikewise ...` writes to a terminal so wide."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    screen, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TERM": "xterm"}
    asked = [sys.executable, "-m", "spikewise", *map(str, words)]
    process = subprocess.Popen(asked, stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    said = b""
    while True:
        try:
            piece = os.read(screen, 65536)
        except OSError:  # Linux says so that the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(screen)
    assert process.wait() == 0, said.decode()
    return [line.rstrip() for line in ESCAPE.sub("", said.decode()).replace("\r", "").split("\n")]


@pytest.mark.parametrize("width", [100, 60])
def test_costs_fit_a_terminal_with_every_figure_in_one_piece(run: Run, width: int):
    lines = on_a_terminal(width, "cost", run.folder)
    assert max(map(len, lines)) <= width
    found = "\n".join(lines)
    snn = run.results.network("snn").cost
    assert re.search(rf"^Parameters +{snn.parameters:,} ", found, re.M)
    assert re.search(r"^  99 % within +\S+ [µm]s +\S+ [µm]s", found, re.M)
    assert "[1] published break-even" in found
    assert re.search(r"\[\d\] per image, computed$", found, re.M)


@pytest.mark.parametrize("width", [100, 60])
def test_runs_fit_a_terminal_and_say_which_columns_have_no_room(run: Run, width: int, monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path))
    lines = on_a_terminal(width, "runs", run.folder.parent)
    assert max(map(len, lines)) <= width
    found = " ".join(lines)
    heads = lines[next(at for at, line in enumerate(lines) if line.startswith("run "))]
    for head in ("interval", "− twin", "energy", "latency", "created"):
        assert (head in heads) != (f"{head}," in found or f"{head};" in found), head
    assert re.search(r" \d\d\.\d\d %", found)


@given(
    st.integers(1, 6).flatmap(
        lambda count: st.lists(
            st.lists(st.text("ab \n", max_size=30), min_size=count, max_size=count), min_size=1, max_size=4
        )
    ),
    st.integers(1, 80),
)
def test_every_column_stands_once_and_no_part_is_wider_than_the_terminal(rows, width):
    header, *cells = rows
    found = parts(header, cells, width)
    told = [at for part in found for at in part.columns]
    assert set(told) == set(range(len(header)))
    for part in found:
        assert min(part.widths) >= 1
        assert sum(part.widths) + GAP * (len(part.widths) - 1) <= max(width, GAP * len(part.widths) + len(part.widths))


def test_parts_repeat_the_columns_that_tell_rows_apart():
    header = ["network", "state", *(f"figure {at}" for at in range(6))]
    rows = [[network, state, *["0.123456789"] * 6] for network in ("snn", "twin") for state in ("trained", "scaled")]
    found = parts(header, rows, 60, whole=range(2, 8))
    assert [part.columns for part in found] == [(0, 1, 2, 3, 4), (0, 1, 5, 6, 7)]
    assert all(width >= 11 for part in found for width in part.widths[2:])


def test_a_table_with_room_stands_in_one_part_as_wide_as_its_cells():
    (part,) = parts(["name", ""], [["a", "some words"], ["three", ""]], 80)
    assert part == ((0, 1), (5, 10))


def test_names_are_folded_where_parting_the_table_would_leave_its_rows_without_them(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [["ok", "cache of decoded images", "/home/someone/cache"], ["ok", "GPU", "none, the processor computes"]]
    print_rows(["", "", ""], rows, whole=[0, 1])
    lines = [line.rstrip() for line in ESCAPE.sub("", capsys.readouterr().out).splitlines()]
    assert [" ".join(line.split()) for line in lines if not line.startswith("  ")] == [
        "ok cache of /home/someone/cache",
        "ok GPU none, the processor",
    ]
    assert max(map(len, lines)) <= 40


def test_long_words_are_folded_between_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    print_rows(["what", "figure"], [["a name of many short words", "12,345.67 nJ"], ["x", "1 nJ"]], right=[1])
    lines = [line.rstrip() for line in ESCAPE.sub("", capsys.readouterr().out).splitlines()]
    assert lines == [
        "what                    figure",
        "a name of many    12,345.67 nJ",
        "short words",
        "x                         1 nJ",
    ]


PATH = "/home/someone/studies/2026/runs/compare-chest-xray-1a2b3c4d/report.html"


@pytest.fixture
def narrow(monkeypatch):
    for name, value in (("COLUMNS", "40"), ("TTY_COMPATIBLE", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)


def lines_of(captured: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in ESCAPE.sub("", captured.readouterr().out).splitlines()]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("path", [PATH, f"'{PATH.replace('studies', 'my own studies')}'"])
def test_a_path_in_a_sentence_is_one_line_that_can_be_copied(path, capsys):
    print_text(f"The folder has another report, which is {path}, and this one is of a later version.", indent=2)
    lines = lines_of(capsys)
    assert f"{path}," in lines
    others = [line for line in lines if path not in line]
    assert all(line.startswith("  ") and len(line) <= 40 for line in others)
    assert len(others) == 3


@pytest.mark.usefixtures("narrow")
def test_a_place_is_one_line_that_can_be_copied(capsys):
    place = Path(PATH.replace("studies", "my own studies"))
    print_places([("RUN", place.parent), ("report", place)])
    assert lines_of(capsys) == ["RUN:", str(place.parent), "report:", str(place)]
    print_place("page", place)
    assert lines_of(capsys) == ["page:", str(place)]
    print_places([("RUN", "runs/one"), ("report", "runs/one/report.html")])
    assert lines_of(capsys) == ["RUN     runs/one", "report  runs/one/report.html"]


@given(st.text("ab' /é字", max_size=200), st.integers(1, 60))
def test_wrapping_keeps_every_word_whole(text, width):
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(cell_len(line) <= width or len(line.split()) == 1 or line.startswith("'") for line in lines)
