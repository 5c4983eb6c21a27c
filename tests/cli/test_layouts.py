"""Folders whose levels are said, and folders with a table of labels, in every command that takes images."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spikewise
from spikewise.experiments import RunFolder

FAST = (
    *("--quick", "--seeds", "1", "--epochs", "1", "--device", "cpu", "--quiet"),
    *("--set", "model.hidden=[8]", "--set", "encoder=rate", "--set", "encoder.steps=4", "--set", "sections=[]"),
    *("--set", "train.learning_rate=0.01"),
)
FILES = [
    (name, f"p{who:02}", f"p{who:02}_{name}_{k}.png")
    for at, name in enumerate(("benign", "malignant"))
    for who in range(at * 8, at * 8 + 12)
    for k in range(4)
]
LEVELS = ("--set", "data.levels=class/subject")


@pytest.fixture(autouse=True)
def _wide(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def put(path: Path, name: str) -> None:
    """An image of its name: bright above or below, by its class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(name.encode())).integers(0, 90, (8, 8), np.uint8)
    pixels[slice(0, 4) if "benign" in name else slice(4, 8)] += 120
    Image.fromarray(pixels).save(path)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """The same images as class/file, as class/subject/file, and beside a table."""
    for label, who, name in FILES:
        put(tmp_path / "flat" / label / name, name)
        put(tmp_path / "scans" / label / who / name, name)
        put(tmp_path / "tabled" / "images" / name, name)
    table(tmp_path / "tabled" / "train.csv", FILES)
    return tmp_path


def table(path: Path, files) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id_code", "diagnosis", "patient"], *((f[:-4], c, s) for c, s, f in files)])


def logits(folder: Path) -> list[np.ndarray]:
    return [np.load(file)["logits"] for file in sorted(folder.glob("networks/*/seed-0/test.npz"))]


def the_run(out: Path) -> Path:
    (run,) = (path.parent for path in out.glob("*/run.json"))
    return run


def test_the_same_images_give_the_same_answer_however_they_are_laid_out(call, sets):
    ways = {
        "flat": ("--set", "data.group_pattern=(p[0-9]+)_"),
        "scans": LEVELS,
        "tabled": (),
    }
    found = {}
    for name, options in ways.items():
        code, _, err = call("compare", name, *options, *FAST, "--out", f"runs-{name}")
        assert code == 0, err
        found[name] = the_run(sets / f"runs-{name}")
    one = logits(found["flat"])
    assert len(one) == 3
    for name in ("scans", "tabled"):
        for mine, theirs in zip(logits(found[name]), one, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        facts = json.loads((found[name] / "results.json").read_text())["data"]
        assert (facts["subjects"], facts["grouped"]) == (20, True)
        assert facts["overlap"]["subjects"] == 0
    said = json.loads((found["scans"] / "results.json").read_text())["data"]
    assert said["subjects_rule"] == "the names of folders (data.levels=class/subject)"
    assert said["subjects_trust"] == "stated"


def test_a_run_is_repeated_by_its_own_file_and_goes_on_in_its_folder(call, sets):
    options = ("--set", "data.labels=train.csv", "--set", "data.columns=file=id_code,class=diagnosis,subject=patient")
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    wanted = logits(run)
    assert call("train", "--config", run / "experiment.toml", "--out", "again", "--quiet")[0] == 0
    again = the_run(sets / "again")
    assert again.name == run.name
    np.testing.assert_array_equal(logits(again), wanted)
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    assert the_run(sets / "runs") == run, "the same command goes on in the same folder"
    moved = [(label, who if who != "p00" else "p01", name) for label, who, name in FILES]
    table(sets / "tabled" / "train.csv", moved)
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    assert len(list((sets / "runs").glob("*/run.json"))) == 2, "a table that says something else is another experiment"


def test_a_run_has_several_tables(call, sets):
    """They are its own wherever it is used from, another label in one makes another run, and so does another name."""
    train = [one for one in FILES if one[1][-1] not in "01"]
    table(sets / "tabled" / "train.csv", train)
    table(sets / "tabled" / "test.csv", [one for one in FILES if one not in train])
    options = ("--set", "data.labels=train.csv,test.csv")
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    (own,) = json.loads(call("evaluate", run, "--json")[1])
    assert own["images"] == len(FILES) - len(train)
    again = call("train", "--config", run / "experiment.toml", "--out", "again", "--quiet")
    assert (again[0], the_run(sets / "again").name) == (0, run.name)
    (found,) = json.loads(call("evaluate", run, "--data", "tabled", "--json")[1])
    assert found == own
    moved = [(label, who if who != "p02" else "p03", name) for label, who, name in train]
    table(sets / "tabled" / "train.csv", moved)
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    assert len(list((sets / "runs").glob("*/run.json"))) == 2, "a table that says something else is another experiment"


def test_a_class_that_was_renamed_in_a_table_is_another_set(call, sets):
    assert call("train", "tabled", *FAST, "--out", "runs")[0] == 0
    table(sets / "tabled" / "train.csv", [(label.replace("benign", "harmless"), *rest) for label, *rest in FILES])
    code, _, err = call("train", "tabled", *FAST, "--out", "runs")
    assert code == 2
    assert "have changed since" in err
    assert "the names of classes: 'harmless' in place of 'benign'" in " ".join(err.split())
    table(sets / "tabled" / "train.csv", FILES)
    assert call("train", "tabled", *FAST, "--out", "runs")[0] == 0
    assert len(list((sets / "runs").glob("*/run.json"))) == 1


def test_a_run_is_used_from_anywhere(call, sets, monkeypatch):
    options = ("--set", "data.labels=tabled/train.csv")  # seen from here, not from the folder
    assert call("train", "tabled", *options, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs").resolve()
    identity = RunFolder.open(run).experiment().identity()
    (sets / "elsewhere").mkdir()
    monkeypatch.chdir(sets / "elsewhere")
    assert RunFolder.open(run).experiment().identity() == identity
    code, out, err = call("evaluate", run, "--json")
    assert code == 0, err
    (own,) = json.loads(out)
    code, out, err = call("evaluate", run, "--data", sets / "tabled", "--json")
    assert (code, json.loads(out)) == (0, [own]), err


def test_evaluate_reads_other_folders_as_its_own_or_as_it_is_told(call, sets):
    assert call("train", "scans", *LEVELS, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    own = json.loads(call("evaluate", run, "--json")[1])
    for data in ("scans", "flat", "tabled"):
        code, out, err = call("evaluate", run, "--data", data, "--json")
        assert code == 0, err
        (found,) = json.loads(out)
        assert (found["images"], found["metrics"]) == (own[0]["images"], own[0]["metrics"])
        # Without its subjects it is another set, and what the run learned from is told by its pixels.
        assert found["seen"] == (96 - found["images"] if data == "flat" else 0)
    for label, who, name in FILES:
        put(sets / "deep" / who / label / f"x{name}", f"x{name}")
    code, _, err = call("evaluate", run, "--data", "deep", "--json")
    assert code == 2
    code, out, err = call("evaluate", run, "--data", "deep", "--set", "data.levels=subject/class", "--json")
    assert (code, json.loads(out)[0]["images"]) == (0, 96), err
    code, out, err = call("evaluate", run, "--data", "scans", "--set", "data.labels=scans.csv", "--json")
    assert (code, "Give one of the two" in err) == (2, False), "the run's own levels give way"
    assert "scans.csv is neither in" in " ".join(err.split())
    code, _, err = call("evaluate", run, "--data", "deep", "--set", "train.epochs=3")
    assert (code, "'train.epochs' cannot be set here" in err) == (2, True)
    code, _, err = call("evaluate", run, "--set", "data.levels=class")
    assert (code, "Settings say how another set is read" in err) == (2, True)


def copy(sets: Path, folder: str, names: list[str]) -> None:
    """The images of "flat" in another folder, under other names."""
    for (label, _, name), other in zip(FILES, names, strict=True):
        path = sets / folder / label / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((sets / "flat" / label / name).read_bytes())


def test_a_copy_under_other_names_is_not_tested_on_what_the_run_learned_from(call, sets):
    assert call("train", "flat", *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    (own,) = json.loads(call("evaluate", run, "--json")[1])
    opened = len(RunFolder.open(run).openings())
    copy(sets, "copy", [f"{(37 * k) % 96:02}.png" for k in range(96)])
    code, out, err = call("evaluate", run, "--data", "copy", "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert (found["images"], found["seen"]) == (own["images"], 96 - own["images"])
    assert [sum(row) for row in found["confusion"]] == [sum(row) for row in own["confusion"]]
    assert len(RunFolder.open(run).openings()) == opened + 1, "its test images were opened once more"
    assert f"{96 - own['images']} that the run learned from were left out" in call("evaluate", run, "--data", "copy")[1]
    said = call("predict", run, "copy", "--format", "csv")[2]
    assert f"{96 - own['images']} of 96 images are ones that this run learned from" in " ".join(said.split())
    # Runs of before kept nothing: their images tell it, where they still lie.
    (run / "seen.npz").unlink()
    assert json.loads(call("evaluate", run, "--data", "copy", "--json")[1])[0]["seen"] == found["seen"]
    (sets / "flat").rename(sets / "gone")
    code, out, err = call("evaluate", run, "--data", "copy", "--json")
    assert (code, json.loads(out)[0]["seen"], json.loads(out)[0]["images"]) == (0, None, 96)
    assert "Whether training images are among these is not known" in " ".join(err.split())


def test_images_that_a_run_learned_from_alone_are_no_test(call, sets):
    for label, who, name in FILES:
        put(sets / "parted" / ("test" if who[-1] in "01" else "train") / label / name, name)
    assert call("train", "parted", *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    code, _, err = call("evaluate", run, "--data", "parted/train")
    assert code == 2
    assert "are, pixel for pixel, among those that networks of" in " ".join(err.split())


def test_a_holdout_with_one_class_is_read_at_any_depth(call, sets):
    levels = ("--set", "data.levels=class/**")
    assert call("train", "scans", *levels, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    for label, who, name in FILES:
        if label == "benign":
            put(sets / "holdout" / label / who / f"x{name}", f"x{name}")
    for data in ("holdout", "wrapped"):
        code, out, err = call("evaluate", run, "--data", data, "--json")
        assert code == 0, err
        (found,) = json.loads(out)
        assert [sum(row) for row in found["confusion"]] == [48, 0]
        (sets / "wrapped").mkdir(exist_ok=True)
        if data == "holdout":
            (sets / "holdout").rename(sets / "wrapped" / "archive")


def test_an_outer_folder_that_is_called_as_a_class_does_not_say_it(call, sets):
    levels = ("--set", "data.levels=class/**")
    assert call("train", "scans", *levels, *FAST, "--out", "runs")[0] == 0
    for label, who, name in FILES:
        put(sets / "holdout" / "benign" / label / who / f"x{name}", f"x{name}")
    code, out, err = call("evaluate", the_run(sets / "runs"), "--data", "holdout", "--json")
    assert code == 0, err
    assert [sum(row) for row in json.loads(out)[0]["confusion"]] == [48, 48]


def test_evaluate_divides_the_runs_own_images_as_the_run_did(call, sets):
    assert call("train", "flat", "--set", "data.group_pattern=(p[0-9]+)_", *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    own = json.loads(call("evaluate", run, "--json")[1])
    found = json.loads(call("evaluate", run, "--data", "flat", "--json")[1])
    assert found == own, "a pattern told the subjects, and what was trained on is not tested on"


@pytest.mark.parametrize(("trained", "asked"), [("true", "false"), ("false", "true")])
def test_no_setting_of_evaluate_divides_the_runs_own_images_anew(call, sets, trained, asked):
    for k, (label, who, _) in enumerate(FILES):
        name = f"patient{who[1:]}_{label}_{k}.png"
        put(sets / "named" / label / name, name)
    subjects = "data.read_subjects="
    assert call("train", "named", "--set", subjects + trained, *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    own = json.loads(call("evaluate", run, "--json")[1])
    code, out, err = call("evaluate", run, "--data", "named", "--set", subjects + asked, "--json")
    assert (code, json.loads(out)) == (0, own), err


def test_images_whose_files_now_say_subjects_are_not_divided_anew(call, sets):
    assert call("train", "flat", *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    (own,) = json.loads(call("evaluate", run, "--json")[1])
    copy(sets, "named", [f"{name[:-4]}_patient{who[1:]}.png" for _, who, name in FILES])
    code, out, err = call("evaluate", run, "--data", "named", "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert (found["images"], found["seen"]) == (own["images"], 96 - own["images"])
    (sets / "flat").rename(sets / "before")
    (sets / "named").rename(sets / "flat")
    code, _, err = call("evaluate", run)
    assert code == 2
    assert "was made: who is on an image." in " ".join(err.split())


def test_the_audit_writes_a_split_that_is_used(call, sets):
    code, out, err = call("audit", "scans", *LEVELS, "--fix", "clean.json", "--quiet")
    assert code == 0, err
    assert "subjects     20" in out
    code, out, err = call("data", "info", "scans", *LEVELS, "--set", "split.file=clean.json")
    assert code == 0, err
    assert "0 subjects straddle the parts" in out
    assert "20, told by the names of folders (data.levels=class/subject) (stated)" in out
    code, out, err = call("audit", "tabled", "--fix", "clean.json", "--quiet")
    assert code == 0, err
    assert "subjects     20" in out


def test_a_config_file_says_levels_or_columns(call, sets):
    (sets / "levels.toml").write_text('[data]\nsource = "scans"\nlevels = "class/subject"\n')
    (sets / "columns.toml").write_text(
        '[data]\nsource = "tabled"\nlabels = "train.csv"\n[data.columns]\nfile = "id_code"\nclass = "diagnosis"\n'
    )
    for name in ("levels", "columns"):
        code, out, err = call("audit", "--config", f"{name}.toml", "--quiet", "--json")
        assert code == 0, err
        assert json.loads(out)["subjects"] == 20
    code, out, _ = call("config", "tabled", "--set", "data.columns.class=diagnosis")
    assert code == 0
    assert 'class = "diagnosis"' in out


def test_commands_that_take_a_folder_take_these(call, sets):
    assert call("train", "tabled", *FAST, "--out", "runs")[0] == 0
    run = the_run(sets / "runs")
    code, out, _ = call("predict", run, "scans", "--format", "csv")
    assert (code, out.count("\n")) == (0, 97)
    code, out, err = call("fits", "scans", *LEVELS, "--target", "cortex-m4:512k/160k")
    assert code in (0, 1), err
    assert "needed" in out
    code, out, err = call("data", "show", "scans", *LEVELS, "--out", "grid.png")
    assert code == 0, err


def test_a_refused_tree_names_a_setting_that_works_when_pasted(call, sets):
    code, _, err = call("data", "info", "scans")
    assert code == 2
    assert "--set data.levels=class/subject (2 classes: benign, malignant; 20 subjects, such as p00, p01)" in err
    code, out, _ = call("data", "info", "scans", *LEVELS)
    assert code == 0
    assert "8" not in out or "4 of 20 subjects have several folders" in out


def test_python_takes_the_same_settings(sets, monkeypatch):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(sets / "cache"))
    assert spikewise.load_data(sets / "scans", levels="class/subject").groups.max() == 19
    assert spikewise.load_data(sets / "tabled", labels="train.csv", columns={"class": "diagnosis"}).groups.max() == 19
    assert spikewise.audit(sets / "scans", data={"levels": "class/subject"}).subjects == 20
