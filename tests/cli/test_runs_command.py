"""`runs`, `runs compare`, `runs export` and `log` as they are typed: what they print, and what they say to mistakes."""

import errno
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spikewise.api import Run
from spikewise.cli.main import main

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Run `spikewise ...` in this process; its exit code and what it wrote."""
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikewise", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


def test_runs_are_listed_filtered_and_sorted(typed, run: Run):
    folder = run.folder.parent
    code, out, _ = typed("runs", folder, "--where", "accuracy >= 0 and data = digits", "--sort", "accuracy")
    assert code == 0
    assert run.folder.name in out
    assert "digits" in out
    code, out, _ = typed("runs", folder, "--json", "--limit", 1)
    (told,) = json.loads(out)
    assert told["accuracy"] == run.results.network("snn").metrics["accuracy"].mean
    assert typed("runs", "list", folder, "--where", "accuracy > 2")[2].strip() == f"No run in {folder}."


def test_the_p_beside_a_verdict_is_the_one_that_it_goes_by(typed, run: Run):
    code, out, err = typed("versus", f"{run.folder}:snn", f"{run.folder}:twin")
    assert code == 0, err
    (row,) = [line for line in out.splitlines() if "snn − twin" in line]
    (pair,) = json.loads(typed("versus", f"{run.folder}:snn", f"{run.folder}:twin", "--json")[1])["pairs"]
    assert pair["p"] != pair["p_adjusted"]
    assert f"p = {row.split()[-3]}" in out or f"p {' '.join(row.split()[-4:-2])}" in out
    assert row.split()[-3] == f"{pair['p_adjusted']:.3f}"


def test_networks_of_runs_are_compared(typed, run: Run):
    code, out, err = typed("runs", "compare", f"{run.folder}:snn", f"{run.folder}:twin")
    assert code == 0, err
    assert f"{run.folder.name}:twin" in out
    assert "No setting differs." in out
    other = run.folder.parent / "of-a-first-look"
    shutil.copytree(run.folder, other)
    facts = json.loads((other / "run.json").read_text())
    facts["experiment"] |= {"whole": "spikewise compare digits", "quick": not facts["experiment"]["quick"]}
    (other / "run.json").write_text(json.dumps(facts))
    settings = json.loads(typed("runs", "compare", f"{run.folder}:snn", f"{other}:twin", "--json")[1])["settings"]
    shutil.rmtree(other)
    assert list(settings) == ["quick"]  # the command of a first look is no setting
    assert "95 % interval" in out
    told = json.loads(typed("runs", "compare", f"{run.folder}:snn", f"{run.folder}:cnn", "--json")[1])
    assert told["pairs"][0]["a"] == "snn"


def test_tables_and_pages_are_exported(typed, run: Run, tmp_path: Path):
    assert r"\toprule" in typed("runs", "export", run.folder.parent, "--to", "latex")[1]
    code, out, _ = typed("runs", "export", run.folder.parent, "--to", "html", "--out", tmp_path / "all.html")
    assert (code, out.strip()) == (0, str(tmp_path / "all.html"))
    assert run.folder.name in (tmp_path / "all.html").read_text()


def test_a_run_is_logged(typed, run: Run, tmp_path: Path):
    code, out, _ = typed("log", run.folder, "--to", "csv", "--out", tmp_path / "told", "--json")
    told = json.loads(out)
    assert (code, told["tracker"], told["place"]) == (0, "csv", str(tmp_path / "told"))
    assert (tmp_path / "told" / run.folder.name / "curves.csv").exists()


WRONG = {
    "log": [
        ("Missing argument", "log"),
        ("Missing option '--to'", "log", "RUN"),
        ("Unknown tracker 'tensorbord'. Did you mean 'tensorboard'?", "log", "RUN", "--to", "tensorbord"),
        ("Unknown tracker ''", "log", "RUN", "--to", ""),
        ("There is no nowhere", "log", "nowhere", "--to", "csv"),
        ("is not a run folder", "log", ".", "--to", "csv"),
        ("A file stands where a folder is needed", "log", "RUN", "--to", "csv", "--out", "RUN/run.json"),
        ("MLflow keeps runs in files no longer", "log", "RUN", "--to", "mlflow", "--out", "file:./mlruns"),
        ("No such option", "log", "RUN", "--to", "csv", "--fast"),
        ("Got unexpected extra argument", "log", "RUN", "RUN", "--to", "csv"),
    ],
    "list": [
        ("runs is not a folder", "runs"),
        ("nowhere is not a folder", "runs", "nowhere"),
        ("run.json is not a folder", "runs", "RUN/run.json"),
        ("Did you mean 'accuracy'?", "runs", "FOLDER", "--where", "acuracy > 0.9"),
        ("behind 'accuracy' belongs one of", "runs", "FOLDER", "--where", "accuracy 0.9"),
        ("Unknown column, figure or setting 'speed'", "runs", "FOLDER", "--sort", "speed"),
        ("A date is written as", "runs", "FOLDER", "--since", "yesterday"),
        ("Unknown image set 'digit'. Did you mean 'digits'?", "runs", "FOLDER", "--data", "digit"),
        ("Unknown setting", "runs", "FOLDER", "--set", "train.batchsize=64"),
        ("Invalid value for '--limit'", "runs", "FOLDER", "--limit", "0"),
    ],
    "compare": [
        ("Missing argument", "runs", "compare"),
        ("A comparison needs two networks; got 1", "runs", "compare", "RUN"),
        ("nowhere", "runs", "compare", "RUN", "nowhere"),
        ("Unknown network 'ann'", "runs", "compare", "RUN:snn", "RUN:ann"),
        ("A network cannot be compared with itself", "runs", "compare", "RUN", "RUN"),
        ("A network cannot be compared with itself", "runs", "compare", "RUN:twin", "RUN:twin"),
        ("results.json", "runs", "compare", "RUN", "FOLDER"),
        ("run.json", "runs", "compare", "RUN", "RUN/run.json"),
        ("No such option", "runs", "compare", "RUN:snn", "RUN:twin", "--network", "snn"),
        ("results.json is missing", "runs", "compare", "", ""),
    ],
    "export": [
        ("Missing option '--to'", "runs", "export", "FOLDER"),
        ("Unknown format 'latx'. Did you mean 'latex'?", "runs", "export", "FOLDER", "--to", "latx"),
        ("nowhere is not a folder", "runs", "export", "nowhere", "--to", "csv"),
        ("no finished run among the 0 chosen", "runs", "export", "FOLDER", "--to", "csv", "--where", "accuracy > 2"),
        ("Unknown preset", "runs", "export", "FOLDER", "--to", "csv", "--preset", "mnist-alf"),
        ("Cannot write", "runs", "export", "FOLDER", "--to", "csv", "--out", "RUN/run.json/below.csv"),
        ("Cannot write", "runs", "export", "FOLDER", "--to", "parquet", "--out", "nowhere/runs.parquet"),
        ("Cannot write", "runs", "export", "FOLDER", "--to", "html", "--out", "FOLDER"),
        ("'!' is none of its signs and words", "runs", "export", "FOLDER", "--to", "md", "--where", "accuracy !"),
        ("Invalid value for '--limit'", "runs", "export", "FOLDER", "--to", "md", "--limit", "many"),
    ],
}


@pytest.mark.parametrize(
    "case", [case for cases in WRONG.values() for case in cases], ids=lambda case: " ".join(case[1:])
)
def test_wrong_calls_end_in_words(case, typed, run: Run):
    said, *words = case
    places = {"RUN": run.folder, "FOLDER": run.folder.parent}
    named = [
        str(places[head]) + word.removeprefix(head)
        if (head := word.partition("/")[0].partition(":")[0]) in places
        else word
        for word in words
    ]
    before = {path: path.stat().st_mtime_ns for path in sorted(run.folder.rglob("*"))}
    code, out, err = typed(*named)
    assert code == 2, out + err
    assert said.casefold() in " ".join(err.replace("│", " ").split()).casefold()
    assert "Traceback" not in err
    assert {path: path.stat().st_mtime_ns for path in sorted(run.folder.rglob("*"))} == before


def test_a_place_that_cannot_be_written_is_blamed_on_the_option_that_named_it(typed, run: Run, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, err = typed("audit", "digits", "--quiet", "--html", tmp_path / "file" / "a.html")
    assert (code, err.count("with --html")) == (2, 1)
    code, _, err = typed("predict", run.folder, tmp_path / "none.png", "--out", tmp_path / "file" / "a.csv")
    assert code == 2


def test_an_export_that_finds_the_disk_full_says_so_and_leaves_nothing(typed, run: Run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("spikewise.interop.bundle.shutil.copy", full)
    out = tmp_path / "out"
    code, _, err = typed("export", run.folder, "--to", "nir", "--out", out / "x", "--unchecked", "--quiet")
    assert code == 2
    assert "The disk is full" in err
    assert list(out.iterdir()) == []


def test_settings_that_cannot_be_read_are_told_once(typed, tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for words, told in {
        ("digits", "--config", "folder.toml"): "The config folder.toml is no file.",
        ("loop",): "loop is a link that leads nowhere.",
        ("",): "'data.source' is a text that is not empty",
        ("digits", "--set", "train.learning_rate=nan"): "and finite; got nan.",
    }.items():
        code, _, err = typed("compare", *words)
        assert code == 2
        assert err.startswith(f"Error: {told}") or told in err
        assert err.count("'train.learning_rate'") <= 1
        assert "Cannot read" not in err
        assert ".." not in err


def test_a_wall_of_names_is_cut(typed, run: Run):
    code, _, err = typed("runs", run.folder.parent, "--sort", "foo")
    assert code == 2
    assert " more." in err
