"""Tables as other tools write them: JSON lines, a column for each class, a table for each part, other places' names."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from placed import put

from spikewise.data import Role, load_data
from spikewise.data.label_file import open_label_file
from spikewise.data.named_files import find_named
from spikewise.errors import DataError, DependencyError

PARTS = {"train": 12, "validation": 6, "test": 6}
ROLES = {"train": Role.TRAIN, "validation": Role.VALIDATION, "test": Role.TEST}
IMAGES = [(part, f"{part}_{k:02}", "abc"[k % 3]) for part, count in PARTS.items() for k in range(count)]


def csv_of(path: Path, head: str, rows) -> None:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]))


def lines_of(path: Path, rows) -> None:
    path.write_text("\n".join(map(json.dumps, rows)))


def what(found) -> list[tuple[str, str, str, Role]]:
    """Name, class and part of each image."""
    return sorted(
        (Path(file).stem, found.classes[label], Role(role))
        for file, label, role in zip(found.sources, found.labels, found.roles, strict=True)
    )


WANTED = sorted((name, label, ROLES[part]) for part, name, label in IMAGES)


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """Images in a folder for each part, and no table yet."""
    return put(tmp_path / "set", [f"{part}/{name}.png" for part, name, _ in IMAGES])


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Images in one folder, and no table yet."""
    return put(tmp_path / "set", [f"images/{name}.png" for _, name, _ in IMAGES])


def parquet_of(path: Path, rows, about: dict | None = None) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(rows)
    if about is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": about}})})
    parquet.write_table(table, path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_image_folder_has_a_table_at_its_root_or_in_each_part(parted: Path, kind):
    def write(path, rows):
        if kind == "csv":
            csv_of(path, "file_name,label,text", [(*row, "a word") for row in rows])
        else:
            to = lines_of if kind == "jsonl" else parquet_of
            to(path, [{"file_name": name, "label": label, "boxes": [1, 2]} for name, label in rows])

    write(parted / f"metadata.{kind}", [(f"{part}/{name}.png", label) for part, name, label in IMAGES])
    one = load_data(parted)
    assert what(one) == WANTED
    assert "The parts are those of the folders: train, validation, test." in one.notes
    alone = load_data(parted, roles=False, labels=f"metadata.{kind}")
    assert {*alone.roles.tolist()} == {Role.UNASSIGNED}
    (parted / f"metadata.{kind}").unlink()
    for part in PARTS:
        rows = [(f"{name}.png", label) for mine, name, label in IMAGES if mine == part]
        write(parted / part / f"metadata.{kind}", rows)
    each = load_data(parted)
    assert what(each) == WANTED
    assert each.fingerprint == one.fingerprint
    assert "train/metadata" in each.from_names[0]
    assert "The tables were found by themselves" in each.from_names[0]


def test_names_that_repeat_in_each_part_are_told_by_the_tables_folder(tmp_path: Path):
    root = put(tmp_path / "set", [f"{part}/{k}.png" for part in PARTS for k in range(6)])
    for part in PARTS:
        csv_of(root / part / "metadata.csv", "file_name,label", [(f"{k}.png", "ab"[k % 2]) for k in range(6)])
    found = load_data(root)
    assert len(found) == 18
    assert all(Role(role) == ROLES[file.split("/")[0]] for file, role in zip(found.sources, found.roles, strict=True))


def test_a_table_over_images_of_parts_and_others_is_asked_about(parted: Path):
    put(parted, ["more/x1.png", "more/x2.png"])
    rows = [(f"{part}/{name}.png", label) for part, name, label in IMAGES]
    csv_of(parted / "t.csv", "file_name,label", [*rows, ("more/x1.png", "a")])
    with pytest.raises(
        DataError, match=r"folders for parts \(test, train, validation\), and others in none, such as more/x1"
    ):
        load_data(parted, labels="t.csv")
    assert {*load_data(parted, labels="t.csv", roles=False).roles.tolist()} == {Role.UNASSIGNED}


def test_one_folder_of_a_part_alone_says_nothing(parted: Path):
    csv_of(parted / "t.csv", "file_name,label", [(f"{p}/{name}.png", c) for p, name, c in IMAGES if p == "train"])
    assert {*load_data(parted, labels="t.csv").roles.tolist()} == {Role.UNASSIGNED}


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "val.csv", "test.csv"),
        ("trainLabels.csv", "validLabels.csv", "testLabels.csv"),
        ("about/Training_GroundTruth.csv", "about/Validation_GroundTruth.csv", "about/Test_GroundTruth.csv"),
    ],
)
def test_several_tables_say_the_parts_by_their_names(flat: Path, names):
    for part, name in zip(PARTS, names, strict=True):
        (flat / name).parent.mkdir(exist_ok=True)
        csv_of(flat / name, "image,label", [(stem, label) for mine, stem, label in IMAGES if mine == part])
    found = load_data(flat)
    assert what(found) == WANTED
    assert load_data(flat, labels=",".join(names)).fingerprint == found.fingerprint
    assert load_data(flat, labels=list(names)).fingerprint == found.fingerprint
    alone = load_data(flat, labels=names[0])
    assert (len(alone), {*alone.roles.tolist()}) == (12, {Role.UNASSIGNED})


def test_several_tables_whose_names_say_no_parts_are_asked_about(flat: Path):
    for name, k in (("one.csv", 0), ("two.csv", 1)):
        csv_of(flat / name, "image,label", [(stem, label) for at, (_, stem, label) in enumerate(IMAGES) if at % 2 == k])
    with pytest.raises(DataError, match=r"Several tables may") as error:
        load_data(flat)
    (setting,) = re.findall(r"--set data.labels=(\S+) \(all of them together\)", str(error.value))
    found = load_data(flat, labels=setting)
    assert (len(found), {*found.roles.tolist()}) == (24, {Role.UNASSIGNED})
    csv_of(flat / "test.csv", "image,label", [(IMAGES[0][1], "a")])
    with pytest.raises(DataError, match=r"nothing does of one.csv"):
        load_data(flat, labels="one.csv,test.csv")
    with pytest.raises(DataError, match=r"Several tables may") as error:
        load_data(flat)
    assert "all of them together" not in str(error.value), "one that says a part, and others that say none"


def test_a_file_in_two_tables_that_differ_is_an_error_with_both_lines(flat: Path):
    csv_of(flat / "train.csv", "image,label", [(name, label) for part, name, label in IMAGES if part == "train"])
    csv_of(flat / "test.csv", "image,label", [("test_00", "a"), ("train_01", "b")])
    says = (
        "train_01.png stands in .*test.csv, line 3, and in .*train.csv, line 3, and differently: they give it the part"
    )
    with pytest.raises(DataError, match=says):
        load_data(flat)


def test_a_table_of_a_part_names_files_of_its_own_folder(tmp_path: Path):
    root = put(tmp_path / "set", [f"{part}/{k}.png" for part in PARTS for k in range(6)])
    for part in PARTS:
        csv_of(root / f"{part}.csv", "image,label", [(k, "ab"[k % 2]) for k in range(6)])
    found = load_data(root)
    assert len(found) == 18
    assert all(Role(role) == ROLES[file.split("/")[0]] for file, role in zip(found.sources, found.roles, strict=True))
    put(root, ["test/9.png"])
    csv_of(root / "train.csv", "image,label", [(0, "a"), (9, "b")])
    with pytest.raises(DataError, match=r"line 3: by its table '9' is of the part 'train', and test/9.png lies in"):
        load_data(root)


def test_a_table_of_a_part_without_labels_is_named(flat: Path):
    for part in ("train", "validation"):
        csv_of(flat / f"{part}.csv", "image,label", [(name, label) for p, name, label in IMAGES if p == part])
    csv_of(flat / "test.csv", "image,width", [(name, 6) for p, name, _ in IMAGES if p == "test"])
    found = load_data(flat)
    assert len(found) == 18
    assert any("test.csv was not read: no column is called as the class usually is" in one for one in found.from_names)


def test_subjects_are_read_where_every_table_has_them(flat: Path):
    def write(part, head, *more):
        rows = [(name, label, *(one(k) for one in more)) for k, (p, name, label) in enumerate(IMAGES) if p == part]
        csv_of(flat / f"{part}.csv", head, rows)

    write("train", "image,label,patient_id", lambda k: f"p{k // 2}")
    write("test", "image,label,subject", lambda k: f"p{k // 2}")
    found = load_data(flat)
    assert found.subjects_rule.words == "the column 'patient_id' or 'subject' of test.csv, train.csv"
    assert len(np.unique(found.groups)) == 9
    write("test", "image,label")
    found = load_data(flat)
    assert found.groups is None
    assert any("Subjects were not read: test.csv says none." in one for one in found.from_names)


def hot(label: str, *, one="1.0", zero="0.0", classes="abc") -> list[str]:
    return [one if label == name else zero for name in classes]


@pytest.mark.parametrize(("one", "zero"), [("1.0", "0.0"), ("1", "0"), ("True", "False")])
def test_a_column_for_each_class_is_read(flat: Path, one, zero):
    rows = [(name, *hot(label, one=one, zero=zero)) for _, name, label in IMAGES]
    csv_of(flat / "truth.csv", "image,a,b,c", rows)
    found = load_data(flat)
    assert [(name, label) for name, label, _ in what(found)] == [(name, label) for name, label, _ in WANTED]
    assert "class from the one column with a 1 among a, b, c" in found.from_names[0]
    csv_of(flat / "truth.csv", ",image,a,b,c", [(k, *row) for k, row in enumerate(rows)])
    assert load_data(flat).fingerprint == found.fingerprint, "numbers of rows are no class"
    csv_of(flat / "truth.csv", "image,a,b,c,age", [(*row, 40 + k) for k, row in enumerate(rows)])
    with pytest.raises(DataError, match=r"a, b, c hold 0 and 1, one 1 in each row, and may be the classes") as error:
        load_data(flat)
    setting = re.search(r"data.columns=([^' ]+)", str(error.value))[1]
    assert setting == "file=image,class=a|b|c"
    assert load_data(flat, columns=setting).fingerprint == found.fingerprint


@pytest.mark.parametrize(
    ("wrong", "found", "asked"),
    [
        (["1", "0", "1"], "line 4 has a 1 in 2 of them \\(a, c\\)", "line 4: .* this row gives 2 classes \\(a, c\\)"),
        (["0", "0", "0"], "line 4 has a 1 in none", "line 4: .* this row gives no class"),
        (["0", "0.5", "0"], "no column is called as the class", "line 4: the column 'b' holds '0.5'"),
        (["0", "", "1"], "no column is called as the class", "line 4: the column 'b' holds ''"),
    ],
)
def test_a_row_without_a_single_1_is_refused(flat: Path, wrong, found, asked):
    rows = [(name, *hot(label, one="1", zero="0")) for _, name, label in IMAGES]
    rows[2] = (rows[2][0], *wrong)
    csv_of(flat / "truth.csv", "image,a,b,c", rows)
    with pytest.raises(DataError, match=found):
        load_data(flat)
    with pytest.raises(DataError, match=asked):
        load_data(flat, columns="file=image,class=a|b|c")


def test_columns_of_classes_that_are_none_are_refused(flat: Path):
    csv_of(flat / "t.csv", "image,a,b", [(name, *hot("a", classes="ab")) for _, name, _ in IMAGES])
    for columns, says in (("class=a|d", "no column is called 'd'"), ("class=a|a", "stands for two classes")):
        with pytest.raises(DataError, match=says):
            load_data(flat, labels="t.csv", columns=columns)


def test_columns_of_0_and_1_that_are_parts_or_share_a_name_are_no_classes_by_themselves(flat: Path):
    rows = [(name, int(part == "test"), int(part != "test")) for part, name, _ in IMAGES]
    csv_of(flat / "t.csv", "image,test,train", rows)
    with pytest.raises(DataError, match=r"test, train hold 0 and 1, one 1 in each row, and may be the classes"):
        load_data(flat)
    csv_of(flat / "t.csv", "image,a,b,b", [(name, *hot(label)) for _, name, label in IMAGES])
    with pytest.raises(DataError, match="several columns of 0 and 1 are called b"):
        load_data(flat)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"file": "1.png", "label": "a"}\n[1]', "line 2: '.1.' is no JSON object"),
        ('{"file": "1.png", "label": "a"}\n{"file"', "line 2: no JSON"),
        ('{"file": "1.png", "label": ["a", "b"]}', "line 1: 'label' holds several values"),
        ('{"file": "1.png", "label": "a"}\n{"file": "2.png"}', "line 2: no value in the column 'label'"),
        ('{"file": "1.png", "file": "2.png"}', "line 1: no JSON"),
        ('{"file": "1.png"}', "a single value, 'file'"),
        ("", "is empty"),
        ("\udcff".encode(errors="surrogateescape").decode("latin-1"), "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_lines_that_are_no_rows_are_an_error_in_words(flat: Path, text, says):
    (flat / "t.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        load_data(flat, labels="t.jsonl")


def test_json_lines_are_read_as_text(tmp_path: Path):
    rows = [{"f": "1", "label": 3, "x": None}, {"f": "2", "label": True, "new": 1.5}]
    lines_of(tmp_path / "t.jsonl", rows)
    table = open_label_file(tmp_path / "t.jsonl")
    assert table.header == ("f", "label", "x", "new")
    assert list(table.rows((1, 2, 3))) == [(1, ["3", "", ""]), (2, ["true", "", "1.5"])]


@pytest.mark.parametrize(
    ("images", "name"),
    [
        ("{part}/{k}.png", "/home/someone/set/{part}/{k}.png"),
        ("{part}/{k}.png", "C:\\set\\{part}\\{k}.png"),
        ("{part}/{k}.png", "https://example.org/set/{part}/{k}.png?size=full#top"),
        ("{part}/{k} x.png", "gs://bucket/set/{part}/{k}%20x.png"),
        ("{part}/{k}.png", "/home/someone/set/{part}/{k}"),
        ("outer/{part}/{k}.png", "{part}/{k}.png"),
        ("outer/{part}/{k}.png", "/elsewhere/{part}/{k}.png"),
    ],
)
def test_folders_of_another_place_are_passed_over_and_those_within_count(images, name):
    pairs = [(part, k) for part in ("a", "b") for k in range(3)]
    there = [images.format(part=part, k=k) for part, k in pairs]
    names = [name.format(part=part, k=k) for part, k in reversed(pairs)]
    found = find_named(names, there, Path("set"), Path("set/t.csv"))
    assert found.positions.tolist() == [5, 4, 3, 2, 1, 0]


def test_names_of_another_place_that_fit_two_images_are_refused_and_unique_ones_said(tmp_path: Path):
    root = put(tmp_path / "set", ["x/1.png", "y/1.png", "y/2.png"])
    csv_of(root / "t.csv", "file,label", [("/p/1.png", "a"), ("/q/2.png", "b")])
    with pytest.raises(DataError, match=r"line 2: '/p/1.png' fits several images .*x/1.png, y/1.png"):
        load_data(root, labels="t.csv")
    csv_of(root / "t.csv", "file,label", [("https://p/1.png?raw=1", "a"), ("https://q/2.png", "b")])
    with pytest.raises(DataError, match=r"line 2: 'https://p/1.png.raw=1' fits several images .*x/1.png, y/1.png"):
        load_data(root, labels="t.csv")
    put(root, ["y/3.png"])
    csv_of(root / "t.csv", "file,label", [("/p/2.png", "a"), ("/q/3.png", "b")])
    found = load_data(root, labels="t.csv")
    assert any("told by their names; the folders before them, such as /p, are not here." in one for one in found.notes)


def test_a_folder_that_counts_is_not_passed_over_for_a_missing_file():
    there = ["a/1.png", "1.png", "2.png"]
    assert find_named(["a/1.png", "a/2.png"], there, Path("s"), Path("s/t.csv")).positions.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("table", "before", "says"),
    [
        ("labels.csv", "train/", r"line 2: 'train/00.png' says another part than the folder of test/00.png"),
        ("labels.csv", "/home/x/train/", r"line 2: '/home/x/train/00.png' says another part"),
        ("train.csv", "", r"train.csv is called as the part 'train', and its images lie in folders of another"),
    ],
)
def test_labels_of_a_part_that_is_not_there_go_to_no_other(tmp_path: Path, table, before, says):
    rows = [(f"{before}{k:02}.png", "ab"[k % 2]) for k in range(8)]
    root = put(tmp_path / "set", [f"test/{k:02}.png" for k in range(8)])
    csv_of(root / table, "file_name,label", rows)
    for extra in ((), ["train/x.png"]):
        put(root, extra)
        with pytest.raises(DataError, match=says):
            load_data(root, labels=table)
        assert len(load_data(root, labels=table, roles=False)) == 8, "it is said that these names are no parts"


def test_the_place_in_which_a_whole_set_lay_is_no_part(parted: Path):
    rows = [(f"/home/x/valid/{name}.png", label) for _, name, label in IMAGES]
    csv_of(parted / "t.csv", "file_name,label", rows)
    assert what(load_data(parted)) == WANTED


def numbered(root: Path, about: dict | None = None, **other: object) -> None:
    """Labels as numbers, as the package datasets stores those of known classes."""
    parquet_of(root / "metadata.parquet", [
        {"file_name": f"images/{name}.png", "label": "abc".index(label), **other} for _, name, label in IMAGES
    ], about)  # fmt: skip


def test_numbers_of_parquet_are_the_classes_that_the_file_names(flat: Path):
    numbered(flat)
    assert load_data(flat).classes == ("0", "1", "2")
    numbered(flat, {"label": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}})
    assert load_data(flat).classes == ("ant", "bee", "cat")
    numbered(flat, {"label": {"names": ["ant", "bee"], "_type": "ClassLabel"}})
    with pytest.raises(DataError, match=r"metadata.parquet, row 3: 'label' is 2, and the file names 2 classes"):
        load_data(flat)


@pytest.mark.parametrize("about", [b"{", b"[1]", b'{"info": {"features": {"label": 3}}}', b'{"info": 1}', b"\xff"])
def test_what_parquet_says_of_its_columns_may_be_anything(flat: Path, about):
    numbered(flat)
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(flat / "metadata.parquet").replace_schema_metadata({"huggingface": about})
    parquet.write_table(table, flat / "metadata.parquet")
    assert load_data(flat).classes == ("0", "1", "2")


def test_damaged_parquet_is_refused_in_words(flat: Path):
    numbered(flat)
    path = flat / "metadata.parquet"
    whole = path.read_bytes()
    for cut in (b"", whole[:100], whole[:-4], b"PAR1" + whole[40:]):
        path.write_bytes(cut)
        with pytest.raises(DataError, match=r"metadata\.parquet") as error:
            load_data(flat, labels="metadata.parquet")
        assert "\n" not in str(error.value)


def test_parquet_without_its_package_is_refused_in_one_message_where_it_is_needed(flat: Path, monkeypatch):
    numbered(flat)
    monkeypatch.setattr("spikewise.data.label_parquet.find_spec", lambda name: None)
    for options in ({}, {"labels": "metadata.parquet"}):
        with pytest.raises(DependencyError, match=r"pip install 'spikewise\[parquet\]'"):
            load_data(flat, **options)
    csv_of(flat / "labels.csv", "image,label", [(name, label) for _, name, label in IMAGES])
    assert load_data(flat).classes == ("a", "b", "c")
    beside = put(flat.parent / "classes", [f"{label}/{name}.png" for _, name, label in IMAGES])
    (beside / "metadata.parquet").write_bytes((flat / "metadata.parquet").read_bytes())
    found = load_data(beside)
    assert found.classes == ("a", "b", "c")
    assert any("metadata.parquet was not read" in one for one in found.from_names)
