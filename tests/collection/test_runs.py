"""A collection says what its folders say, from whatever its index held before."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pandas
import pytest

from spikewise import runs
from spikewise.collection.wording import listed
from spikewise.errors import ConfigError, RunError
from spikewise.report import paper_table


def names(found) -> list[str]:
    return [str(one["run"]) for one in found]


def test_every_run_is_there_with_its_state(folder):
    found = runs(folder)
    assert {str(one["run"]): one["state"] for one in found} == {
        "compare-a": "finished",
        "compare-b": "finished",
        "compare-d": "unfinished",
        "compare-e": "damaged",
        "project/compare-c": "finished",
    }
    damaged = next(one for one in found if one["state"] == "damaged")
    assert damaged["problem"] == "it lacks 'experiment'"
    assert "5 runs" in repr(found)


def test_columns_are_the_figures_of_the_results(folder):
    one = next(one for one in runs(folder) if one["run"] == "compare-b")
    (run,) = runs(folder).where("run = compare-b").load()
    results, snn = run.results, run.results.network("snn")
    pair = next(pair for pair in results.comparisons if {pair.a, pair.b} == {"snn", "twin"})
    assert one["accuracy"] == snn.metrics["accuracy"].mean == 0.91
    assert (one["accuracy_low"], one["twin_accuracy"]) == (0.90, results.network("twin").metrics["accuracy"].mean)
    assert one["difference"] == (pair.difference.mean if pair.a == "snn" else -pair.difference.mean)
    assert one["p"] == (pair.p if pair.p_adjusted is None else pair.p_adjusted)
    assert one["energy_nj"] == snn.cost.energy_nanojoule["arithmetic"]
    assert one["train_seconds"] == sum(seed.train_seconds for seed in snn.runs) / len(snn.runs)
    assert one["twin.f1_macro"] == results.network("twin").metrics["f1_macro"].mean
    assert (one["train.batch_size"], one["headline"]) == (64, results.verdict.headline)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("accuracy > 0.95", ["compare-a", "project/compare-c"]),
        ("accuracy > 95%", ["compare-a", "project/compare-c"]),
        ("accuracy > 0.95 and preset = mnist-snn", ["compare-a"]),
        ("accuracy < 0.95 or data = letters", ["compare-b", "project/compare-c"]),
        ("not (data = digits) and state = finished", ["project/compare-c"]),
        ("train.batch_size = 64", ["compare-b"]),
        ("train.batch_size != 64 and kind = compare", ["compare-a", "compare-d", "project/compare-c"]),
        ("snn.accuracy >= 0.97", ["compare-a", "project/compare-c"]),
        ("f1_macro > 0 and accuracy < 0.95", ["compare-b"]),
        ("run ~ PROJECT", ["project/compare-c"]),
        ("accuracy = none and state != damaged", ["compare-d"]),
        ('preset = "mnist-snn"', ["compare-a"]),
        ("quick = false and created >= 2026-11-02 and created < 2026-11-04", ["compare-b", "project/compare-c"]),
        ("accuracy > 0.95 and (data = letters or (data = digits and seeds = 2))", ["compare-a", "project/compare-c"]),
    ],
)  # fmt: skip
def test_a_condition_chooses(condition, expected, folder):
    assert names(runs(folder).where(condition)) == expected


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "at its end a name is missing"),
        ("accuracy", "behind 'accuracy' belongs one of"),
        ("accuracy >", "at its end a value is missing"),
        ("> 3", "a name belongs where '>' stands"),
        ("accuracy > > 3", "a value belongs where '>' stands"),
        ("(accuracy > 3", "a bracket is not closed"),
        ("accuracy > 3)", "'\\)' is one too many"),
        ("accuracy > 3 and", "at its end a name is missing"),
        ("accuracy > 'a", "is none of its signs and words"),
        ("accurcy > 3", "Did you mean 'accuracy'"),
        ("train.batchsize = 3", "Did you mean 'train.batch_size'"),
        ("a=1 and " * 80 + "a=1", "it is too long"),
    ],
)
def test_a_condition_that_is_none_is_answered_in_words(condition, said, folder):
    with pytest.raises(ConfigError, match=said):
        runs(folder).where(condition)


def test_sorting_puts_the_best_first_and_what_has_none_last(folder):
    found = runs(folder)
    assert names(found.sort("accuracy"))[:3] == ["project/compare-c", "compare-a", "compare-b"]
    assert names(found.sort("-accuracy"))[:3] == ["compare-b", "compare-a", "project/compare-c"]
    assert names(found.sort("accuracy", descending=False))[0] == "compare-b"
    assert names(found.sort("date"))[:2] == ["compare-d", "project/compare-c"]
    assert names(found.sort("train.batch_size"))[:1] == ["compare-a"]
    assert set(names(found.sort("cost"))[-2:]) == {"compare-d", "compare-e"}
    with pytest.raises(ConfigError, match="Did you mean 'accuracy'"):
        found.sort("acuracy")


def test_sets_presets_settings_and_days_choose(folder):
    found = runs(folder)
    assert names(found.of(data="letters")) == ["project/compare-c"]
    assert names(found.of(preset="mnist-snn")) == ["compare-a"]
    assert names(found.having("train.batch_size=64")) == ["compare-b"]
    assert names(found.having("seeds=[0,1]")) == ["compare-a", "compare-b", "compare-d", "project/compare-c"]
    assert names(found.of(state="finished").since("2026-11-02T09:00:00+00:00")) == ["compare-b", "project/compare-c"]
    assert names(found.since("1h")) == ["compare-d"]  # its clock goes fast: it begins in 2027
    for wrong in ("yesterday", "3y", "2026-13-01"):
        with pytest.raises(ConfigError, match="A date is written as"):
            found.since(wrong)
    with pytest.raises(ConfigError, match="Unknown image set 'leters'"):
        found.of(data="leters")
    with pytest.raises(ConfigError, match="Unknown setting"):
        found.having("train.batchsize=64")


def index_of(folder: Path) -> Path:
    (file,) = (folder.parent / "cache" / "runs").glob("*.sqlite")
    return file


def test_what_has_not_changed_is_not_read_again(folder, monkeypatch):
    from spikewise.collection import index

    read, reading = [], index.read_summary

    def watched(path, name):
        read.append(name)
        return reading(path, name)

    monkeypatch.setattr(index, "read_summary", watched)
    first = runs(folder)
    assert len(read) == 5
    assert [one.columns for one in runs(folder)] == [one.columns for one in first]
    assert [one.settings for one in runs(folder)] == [one.settings for one in first]
    assert len(read) == 5
    shutil.copytree(folder / "compare-a", folder / "compare-new")
    shutil.rmtree(folder / "compare-b")
    results = folder / "project" / "compare-c" / "results.json"
    results.write_text(results.read_text().replace("letters", "LETTERS"))
    found = runs(folder)
    assert sorted(read[5:]) == ["compare-new", "project/compare-c"]
    assert names(found) == ["compare-a", "compare-d", "compare-e", "compare-new", "project/compare-c"]
    assert names(found.of(data="LETTERS")) == ["project/compare-c"]
    results.unlink()
    assert names(runs(folder).of(state="unfinished")) == ["compare-d", "project/compare-c"]


@pytest.mark.parametrize("damage", ["text", "empty", "row", "layout", "locked", "folder"])
def test_an_index_that_is_damaged_busy_or_of_another_version_changes_nothing(damage, folder, monkeypatch):
    expected = [one.columns for one in runs(folder)]
    file = index_of(folder)
    if damage == "text":
        file.write_text("this is no database " * 500)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "folder":
        file.unlink()
        (file / "below").mkdir(parents=True)
    else:
        monkeypatch.setattr("spikewise.collection.index._PATIENCE", 0.1)
        database = sqlite3.connect(file, isolation_level=None)
        if damage == "row":
            database.execute("UPDATE runs SET columns = '{' WHERE name = 'compare-a'")
        elif damage == "layout":
            database.execute("DROP TABLE runs")
            database.execute("CREATE TABLE runs (name TEXT)")
        else:
            database.execute("BEGIN EXCLUSIVE")
    assert [one.columns for one in runs(folder)] == expected
    assert [one.columns for one in runs(folder)] == expected


def test_a_cache_that_cannot_be_written_is_no_obstacle(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "file"))
    assert len(runs(folder)) == 5


def test_several_callers_at_once_see_the_same(folder):
    found: list[list[str]] = []
    callers = [threading.Thread(target=lambda: found.append(names(runs(folder)))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [names(runs(folder))] * 8


def test_a_run_folder_stands_for_itself_and_a_path_that_is_none_is_named(folder):
    assert names(runs(folder / "compare-a")) == ["compare-a"]
    assert names(runs(folder / "notes")) == []
    for wrong in (folder / "nowhere", folder / "compare-a" / "run.json"):
        with pytest.raises(RunError, match="is not a folder"):
            runs(wrong)


def test_links_are_not_followed(folder):
    (folder / "again").symlink_to(folder)
    assert len(runs(folder)) == 5


def test_a_frame_has_a_row_for_each_run(folder):
    frame = runs(folder).of(state="finished").to_frame("train.batch_size", "twin.accuracy")
    assert list(frame["train.batch_size"]) == [32, 64, 96]
    assert list(frame["accuracy"]) == [0.97, 0.91, 0.99]


def test_tables_for_papers_are_those_of_the_runs(folder):
    found = runs(folder).sort("accuracy")
    results = [run.results for run in found.load()]
    assert [one.networks[0].metrics["accuracy"].mean for one in results] == [0.99, 0.97, 0.91]
    names = [run.folder.name for run in found.load()]
    assert found.export("latex") == paper_table(results, "latex", names)
    assert r"\toprule" in str(found.export("latex"))
    assert found.export("md") == paper_table(results, "md", names)


def test_csv_and_parquet_hold_the_same_numbers(folder, tmp_path):
    pytest.importorskip("pyarrow")
    found = runs(folder).sort("accuracy")
    csv = pandas.read_csv(found.export("csv", tmp_path / "runs.csv"))
    table = pandas.read_parquet(found.export("parquet"))
    assert (folder / "runs.parquet").exists()
    assert list(table["run"]) == ["project/compare-c"] * 2 + ["compare-a"] * 2 + ["compare-b"] * 2
    assert list(table["accuracy_percent"])[::2] == [99.0, 97.0, 91.0]
    pandas.testing.assert_frame_equal(csv, table, check_dtype=False, check_exact=True)


def test_a_page_links_the_reports_and_names_the_damaged(folder):
    (folder / "project" / "compare-c" / "report.html").write_text("<p>")
    page = Path(runs(folder).export("html")).read_text()
    assert '<a href="project/compare-c/report.html">project/compare-c</a>' in page
    assert "compare-a</a>" not in page  # it has no report
    assert "it lacks &#39;experiment&#39;" in page
    assert "<script" not in page
    elsewhere = folder.parent / "pages" / "all.html"
    elsewhere.parent.mkdir()
    runs(folder).export("html", elsewhere)
    assert '<a href="../runs/project/compare-c/report.html">' in elsewhere.read_text()


def test_nothing_to_export_and_no_such_format_are_said(folder):
    with pytest.raises(ConfigError, match="Did you mean 'latex'"):
        runs(folder).export("latx")
    with pytest.raises(ConfigError, match="no finished run among the 1 chosen"):
        runs(folder).of(state="unfinished").export("csv")


def test_what_an_interrupted_look_has_read_is_kept(folder, monkeypatch):
    from spikewise.collection import index

    monkeypatch.setattr(index, "_PORTION", 2)
    told = []

    def interrupted(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs(folder, tell=interrupted)
    assert told == [("reading runs", 2, 5), ("reading runs", 4, 5)]
    rows = sqlite3.connect(index_of(folder)).execute("SELECT name FROM runs").fetchall()
    assert len(rows) == 4
    assert len(runs(folder)) == 5


def test_a_list_fits_a_terminal(folder):
    found = runs(folder).of(state="finished")
    whole = listed(found)
    assert whole[0] == ["run", "data", "preset", "accuracy", "interval", "− twin", "energy", "latency", "created"]
    assert whole[1][:5] == ["compare-a", "digits", "mnist-snn", "97.00 %", "96.00 to 97.50 %"]
    for width in (60, 80, 110):
        rows = listed(found, width)
        assert all(sum(map(len, row)) + 2 * len(row) <= width for row in rows)
        assert rows[0][:3] == ["run", "data", "accuracy"] or width == 110
