"""Tables of labels: every dialect is read, every row is accounted for, and what is not clear is asked for."""

import csv
import io
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placed import put

from spikewise.data import Role, load_data, split
from spikewise.data.columns import Columns, Unclear, choose_columns, read_columns
from spikewise.data.label_file import open_label_file
from spikewise.data.label_table import read_labels
from spikewise.data.named_files import find_named
from spikewise.errors import ConfigError, DataError, MissingDataError

HEAD = ["image_id", "dx", "patient_id"]
ROWS = [[f"im{k:02}", "abc"[k % 3], f"P{k // 4}"] for k in range(48)]


def written(rows, head=HEAD, **dialect) -> str:
    out = io.StringIO()
    csv.writer(out, **dialect).writerows([head, *rows])
    return out.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images, and no table yet."""
    return put(tmp_path / "set", [f"images/{name}.png" for name, *_ in ROWS])


def test_a_table_gives_what_folders_and_names_give(root: Path, tmp_path: Path):
    (root / "train.csv").write_text(written(ROWS))
    found = load_data(root)
    assert (found.classes, len(found), found.groups.max()) == (("a", "b", "c"), 48, 11)
    assert found.subjects_rule.words == "the column 'patient_id' of train.csv"
    assert found.subjects_rule.trust == "likely"
    assert found.from_names[0].startswith(
        "Labels were read from train.csv: file from 'image_id', class from 'dx', subject"
    )
    assert found.notes == ()
    flat = put(tmp_path / "flat", [f"{label}/{name}.png" for name, label, _ in ROWS])
    plain = load_data(flat)
    np.testing.assert_array_equal(found.images, plain.images)
    np.testing.assert_array_equal(found.labels, plain.labels)
    without = load_data(root, read_subjects=False)
    assert without.fingerprint == plain.fingerprint
    assert without.groups is None
    asked = load_data(root, labels="train.csv", columns="file=image_id,class=dx,subject=patient_id")
    assert asked.fingerprint == found.fingerprint != plain.fingerprint
    assert asked.subjects_rule.trust == "stated"
    assert asked.from_names == ()


def test_a_quotation_mark_that_is_not_closed_loses_no_rows(root: Path):
    text = written(ROWS).replace("im03,a", 'im03,"a').replace("im05,c,P1", 'im05,c",P1')
    (root / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"the row that ends in line 7 has a value over several lines"):
        load_data(root, labels="train.csv", columns="file=image_id,class=dx")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", written(ROWS).encode()),
        ("a.csv", "\ufeff".encode() + written(ROWS).encode()),
        ("a.csv", written(ROWS, delimiter=";").encode()),
        ("a.csv", b"sep=;\r\n" + written(ROWS, delimiter=";").encode()),
        ("a.csv", written(ROWS, delimiter="|").encode()),
        ("a.tsv", written(ROWS, delimiter="\t", lineterminator="\n").encode()),
        ("a.csv", written(ROWS, quoting=csv.QUOTE_ALL).encode()),
        ("a.csv", written(ROWS, lineterminator="\r").encode()),
        ("a.csv", written(ROWS).encode("utf-16")),
        ("a.csv", written([*ROWS[:10], ["", "", ""], *ROWS[10:], []]).encode()),
        ("a.csv", written([[f" {one} " for one in row] for row in ROWS]).encode()),
    ],
)
def test_every_dialect_is_read(root: Path, name, text):
    (root / name).write_bytes(text)
    found = load_data(root)
    assert [
        (Path(file).stem, found.classes[label]) for file, label in zip(found.sources, found.labels, strict=True)
    ] == (sorted(((name, label) for name, label, _ in ROWS), key=lambda one: (one[1], one[0])))


def test_latin_1_is_read_and_said(root: Path):
    rows = [[name, "M\u00fcller" if label == "a" else label, who] for name, label, who in ROWS]
    (root / "a.csv").write_bytes(written(rows).encode("latin-1"))
    found = load_data(root)
    assert found.classes == ("M\u00fcller", "b", "c")
    assert "Latin-1" in found.from_names[0]


@pytest.mark.parametrize(
    ("place", "name", "table"),
    [
        ("images/{}.png", "images/{}.png", "t.csv"),
        ("images/{}.png", "{}.png", "t.csv"),
        ("images/{}.png", "{}", "t.csv"),
        ("images/{}.png", "images/{}", "t.csv"),
        ("images/{}.png", "./images/{}.png", "t.csv"),
        ("images/{}.png", "images\\{}.png", "t.csv"),
        ("images/{}.png", "{}.png", "images/t.csv"),
        ("images/{}.png", "../images/{}.png", "about/t.csv"),
        ("images/{}.png", "../images/{}", "about/t.csv"),
        ("{}.png", "{}.png", "t.csv"),
        ("{}.png", "set/{}.png", "../t.csv"),
        ("part_1/{}.v2.png", "{}.v2", "t.csv"),
        ("images/{}.png", "/home/someone/else/{}.png", "t.csv"),
    ],
)
def test_files_are_found_however_they_are_named(tmp_path: Path, place, name, table):
    root = put(tmp_path / "set", [place.format(stem) for stem, *_ in ROWS])
    path = root / table
    path.parent.mkdir(exist_ok=True)
    path.write_text(written([[name.format(stem), label, who] for stem, label, who in ROWS]))
    found = load_data(root, labels=str(path.resolve()) if table.startswith("..") else table)
    assert sorted(found.sources) == sorted(place.format(stem) for stem, *_ in ROWS)


def test_a_name_that_fits_two_images_is_refused(tmp_path: Path):
    root = put(tmp_path / "set", ["x/1.png", "y/1.png", "x/2.png"])
    (root / "t.csv").write_text("file,label\n1.png,a\n2.png,b\n")
    with pytest.raises(DataError, match=r"line 2: '1.png' fits several images .*x/1.png, y/1.png"):
        load_data(root, labels="t.csv")


def test_a_missing_file_does_not_lend_its_label_to_one_of_another_folder(tmp_path: Path):
    root = put(tmp_path / "set", ["x/1.png", "y/2.png", "y/3.png"])
    (root / "t.csv").write_text("file,label\ny/1.png,a\ny/2.png,a\ny/3.png,b\n")
    with pytest.raises(DataError, match=r"(?s)1 of 3 files .* line 2: 'y/1.png'"):
        load_data(root, labels="t.csv")
    assert load_data(root, labels="t.csv", skip_bad=True).sources == ("y/2.png", "y/3.png")


def test_a_missing_file_is_named_where_its_stem_fits_two(tmp_path: Path):
    root = put(tmp_path / "set", ["1.png", "2.png", "3.bmp", "3.png"])
    (root / "t.csv").write_text("file,label\n1.png,a\n2.png,b\n3.jpg,b\n")
    with pytest.raises(DataError, match=r"(?s)1 of 3 files .* line 4: '3.jpg'"):
        load_data(root, labels="t.csv")


def test_missing_files_are_an_error_or_left_out_with_a_word(root: Path):
    (root / "t.csv").write_text(written([*ROWS, ["lost", "a", "P1"], ["gone", "b", "P2"]]))
    with pytest.raises(
        DataError, match=r"(?s)2 of 50 files that .*'image_id' are not in .*line 50: 'lost'\n.*skip-bad"
    ):
        load_data(root)
    found = load_data(root, skip_bad=True)
    assert len(found) == 48
    assert "Files that t.csv names and that are missing were left out (2): lost, gone." in found.from_names
    (root / "t.csv").write_text(written([[f"no{name}", label, who] for name, label, who in ROWS]))
    with pytest.raises(
        DataError, match=r"(?s)None of the 48 files .*images such as images/im00.png.*columns.file=NAME"
    ):
        load_data(root, skip_bad=True, labels="t.csv")


def test_images_without_a_row_are_left_out_with_a_word(root: Path):
    (root / "t.csv").write_text(written(ROWS[:40]))
    found = load_data(root)
    assert len(found) == 40
    assert "Images that t.csv does not name were left out (8), such as images/im40.png." in found.from_names


def test_the_same_file_twice(root: Path):
    (root / "t.csv").write_text(written([*ROWS, ROWS[3], ROWS[4]]))
    found = load_data(root, labels="t.csv")
    assert len(found) == 48
    assert "2 rows of t.csv name an image once more and say the same." in found.notes
    (root / "t.csv").write_text(written([*ROWS, ["im03", "c", "P0"]]))
    with pytest.raises(
        DataError, match=r"im03.png stands in .* twice and differently: lines 5 and 50 give it the class 'a' and 'c'"
    ):
        load_data(root, labels="t.csv")
    (root / "t.csv").write_text(written([*ROWS, ["im03.png", "a", "P7"]]))
    with pytest.raises(DataError, match=r"1 of 49 files"):  # names are read in one way
        load_data(root, labels="t.csv")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["im01", "", "P1"]], r"line 50: no value in the column 'dx'\. Fill it in"),
        ([["im01", "NaN", "P1"], ["im02", "", "P1"]], r"'dx', and 1 more lines lack one \(lines 51\)"),
        ([["im01", "b", ""]], "no value in the column 'patient_id'.*data.read_subjects=false"),
        ([["", "b", "P1"]], "no value in the column 'image_id'"),
        ([["im01", "b"]], "line 50: 2 values, and there are 3 columns"),
        ([["im01", "b", "P1", "x"]], "line 50: 4 values"),
        ([["im01", "a|b", "P1"]], "several labels \\(multi-label\\), such as 'a|b'"),
    ],
)
def test_rows_that_say_no_class_are_an_error_with_their_line(root: Path, rows, says):
    (root / "t.csv").write_text(written([*ROWS, *rows]))
    with pytest.raises(DataError, match=says):
        load_data(root, labels="t.csv")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([f"{k / 7:.3f}" for k in range(48)], "numbers with fractions.*amounts \\(regression\\)"),
        (["0.5", "1.5"] * 24, "regression"),
        ([f"x{k}" for k in range(48)], "48 different values in 48 rows.*most classes would have one image"),
        ([str(k) for k in range(30)] + ["1"] * 18, "30 different values"),
    ],
)
def test_amounts_and_names_are_no_classes(root: Path, labels, says):
    (root / "t.csv").write_text(written([[row[0], label, row[2]] for row, label in zip(ROWS, labels, strict=True)]))
    with pytest.raises(DataError, match=says):
        load_data(root, labels="t.csv")


def test_whole_numbers_that_were_written_as_fractions_are_whole(root: Path):
    (root / "t.csv").write_text(written([[name, f"{ord(label) - 97}.0", who] for name, label, who in ROWS]))
    assert load_data(root).classes == ("0", "1", "2")


def test_parts_stand_in_a_column(root: Path):
    parts = ["train"] * 24 + ["Val"] * 8 + ["valid"] * 4 + ["TEST"] * 12
    rows = [[*row, part] for row, part in zip(ROWS, parts, strict=True)]
    (root / "t.csv").write_text(written(rows, [*HEAD, "split"]))
    found = load_data(root)
    assert np.bincount(found.roles).tolist() == [24, 12, 12]
    assert [len(part) for part in split(found)] == [24, 12, 12]
    assert "Several values are taken for the validation part: Val, valid." in found.from_names
    assert set(load_data(root, roles=False).roles.tolist()) == {Role.UNASSIGNED}
    (root / "t.csv").write_text(written([[*row, "arm"] for row in ROWS], [*HEAD, "part"]))
    with pytest.raises(DataError, match=r"column 'part' of .* holds 'arm', which are no parts.*data.roles=false"):
        load_data(root)


def test_a_table_that_says_other_subjects_makes_another_set(root: Path):
    (root / "t.csv").write_text(written(ROWS))
    before = load_data(root)
    (root / "t.csv").write_text(written([[name, label, who.replace("P1", "P0")] for name, label, who in ROWS]))
    after = load_data(root)
    np.testing.assert_array_equal(before.images, after.images)
    assert before.fingerprint != after.fingerprint


def test_file_names_tell_subjects_where_the_table_does_not(tmp_path: Path):
    root = put(tmp_path / "set", [f"patient{k // 4}_{k}.png" for k in range(48)])
    (root / "t.csv").write_text(
        written([[f"patient{k // 4}_{k}.png", "ab"[k % 2]] for k in range(48)], ["file_name", "label"])
    )
    assert load_data(root).subjects_rule.words == "the number after 'patient' in file names"
    assert load_data(root, group_pattern="(t[0-9]+)_").groups.max() == 11


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("id_code,diagnosis", (0, (1,), None, None)),
        ("lesion_id,image_id,dx,dx_type,age,sex,localization", (1, (2,), 0, None)),
        ("file_name,label", (0, (1,), None, None)),
        ("filename;Class".replace(";", ","), (0, (1,), None, None)),
        ("Patient ID,Split,Category,Image Path", (3, (2,), 0, 1)),
        ("id,image,label", (1, (2,), None, None)),
        ("image,patient_id,lesion_id,target", (0, (3,), 1, None)),
    ],
)
def test_usual_columns_are_recognised(header, chosen):
    assert choose_columns(header.split(","), {}, subjects=True, parts=True) == chosen


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("image,image_id,label", r"several columns may be the file \(image, image_id\)"),
        ("image,label,class", r"several columns may be the class \(label, class\)"),
        ("image,MEL,NV,BCC", "no column is called as the class usually is"),
        ("foo,label", "no column is called as the file usually is"),
        ("image,label,patient,person", "may be the subject"),
    ],
)
def test_unclear_columns_are_not_chosen(header, why):
    found = choose_columns(header.split(","), {}, subjects=True, parts=True)
    assert isinstance(found, Unclear)
    assert why.replace("\\", "") in found.why


def test_what_is_not_clear_is_asked_for_with_the_setting_to_copy(root: Path):
    rows = [[name, label, label.upper(), who] for name, label, who in ROWS]
    (root / "my labels.csv").write_text(written(rows, ["image_id", "label", "class", "who"]))
    with pytest.raises(
        DataError, match=r"(?s)may hold the labels; say which.*its columns: image_id, label, class, who"
    ) as error:
        load_data(root)
    (line,) = [line for line in str(error.value).splitlines() if line.startswith("  --set")]
    words = shlex.split(line)
    assert words[:4] == ["--set", "data.labels=my labels.csv", "--set", "data.columns=file=image_id,class=label"]
    found = load_data(root, labels=words[1].partition("=")[2], columns=words[3].partition("=")[2])
    assert found.classes == ("a", "b", "c")
    with pytest.raises(DataError, match=r"(?s)Which columns .* is not clear.*several columns may be the class"):
        load_data(root, labels="my labels.csv")
    with pytest.raises(DataError, match=r"no column is called 'klass' \(did you mean 'class'\?\)"):
        load_data(root, labels="my labels.csv", columns={"class": "klass"})


def test_several_tables_are_asked_about_and_others_do_not_count(root: Path):
    (root / "train.csv").write_text(written(ROWS))
    (root / "test.csv").write_text("image_id\nim99\n")
    (root / "notes.csv").write_text("when,what\nnow,that\n")
    assert len(load_data(root)) == 48
    (root / "sample_submission.csv").write_text(written(ROWS))
    with pytest.raises(
        DataError, match=r"(?s)Several tables may.*data.labels=sample_submission.csv .*data.labels=train.csv "
    ):
        load_data(root)
    assert len(load_data(root, labels="train.csv")) == 48


def test_answers_of_a_network_are_no_labels_unless_it_is_said(root: Path):
    (root / "answers.csv").write_text(
        "image,label,probability,unlike\n" + "".join(f"{name},{label},0.9,\n" for name, label, _ in ROWS)
    )
    with pytest.raises(DataError, match=r"(?s)one folder.*answers.csv is one of answers \(spikewise predict\)"):
        load_data(root)
    assert load_data(root, labels="answers.csv").classes == ("a", "b", "c")
    (root / "train.csv").write_text(written(ROWS))
    assert load_data(root).subjects_rule is not None, "the other table is the only one of labels"


def test_a_table_that_is_not_there_says_what_is(root: Path):
    (root / "train.csv").write_text(written(ROWS))
    with pytest.raises(MissingDataError, match=r"neither in .* nor where that path leads\. There is train\.csv"):
        load_data(root, labels="tran.csv")
    with pytest.raises(DataError, match=r"is a table\. Give the folder of the images, .* --set data.labels=train\.csv"):
        load_data(root / "train.csv")


def test_class_folders_beside_a_table_that_says_other_classes_are_refused(tmp_path: Path):
    root = put(tmp_path / "set", [f"part_{1 + k // 24}/{name}.png" for k, (name, *_) in enumerate(ROWS)])
    plain = load_data(root)
    assert plain.classes == ("part_1", "part_2")
    (root / "meta.csv").write_text(written(ROWS))
    with pytest.raises(
        DataError, match=r"say other classes than its table meta.csv: part_1, part_2 and a, b, c.*--set data.l"
    ):
        load_data(root)
    assert load_data(root, levels="class").fingerprint == plain.fingerprint
    assert load_data(root, labels="meta.csv").classes == ("a", "b", "c")


def test_class_folders_beside_a_table_of_attributes_stay_and_it_is_said_to_be_passed_over(tmp_path: Path):
    root = put(tmp_path / "set", [f"{label}/{name}.png" for name, label, _ in ROWS])
    plain = load_data(root)
    (root / "people.csv").write_text(
        written([[name, str(k % 2), str(k % 3 // 2)] for k, (name, *_) in enumerate(ROWS)], ["image", "male", "smoker"])
    )
    found = load_data(root)
    assert (found.fingerprint, found.classes) == (plain.fingerprint, plain.classes)
    (said,) = set(found.from_names) - set(plain.from_names)
    assert said.startswith(
        "The folders say the classes; people.csv was not read: male, smoker hold 0 and 1, and line 2"
    )


def test_class_folders_beside_a_table_of_their_images_without_usual_names_say_that_it_was_not_read(tmp_path: Path):
    root = put(tmp_path / "set", [f"{label}/{name}.png" for name, label, _ in ROWS])
    plain = load_data(root)
    (root / "list.csv").write_text(written([[f"all\\{row[0]}.png", *row[1:]] for row in ROWS], ["file", "what", "who"]))
    found = load_data(root)
    assert found.fingerprint == plain.fingerprint
    (said,) = set(found.from_names) - set(plain.from_names)
    assert "list.csv, which has rows of these images, was not read: no column is called as the class" in said
    assert said.endswith("--set data.labels=list.csv asks which of its columns to read.")
    (root / "list.csv").write_text(written([[f"other{row[0]}.png", *row[1:]] for row in ROWS], ["file", "what", "who"]))
    assert load_data(root).from_names == plain.from_names


def test_class_folders_beside_a_table_that_agrees_stay_and_its_subjects_are_pointed_at(tmp_path: Path):
    root = put(tmp_path / "set", [f"{label * 3}/{name}.png" for name, label, _ in ROWS])
    plain = load_data(root)
    (root / "meta.csv").write_text(written(ROWS))
    found = load_data(root)
    assert found.fingerprint == plain.fingerprint
    assert any(
        "meta.csv says subjects, too, which were not read: --set data.labels=meta.csv" in one
        for one in found.from_names
    )
    (root / "meta.csv").write_text(written([[f"other{row[0]}", *row[1:]] for row in ROWS]))
    assert load_data(root).from_names == ()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("file=a,klass=b", "Did you mean 'class'"),
        ("file", "columns are file=NAME,class=NAME"),
        ("file=a,class=a", "one column cannot say two things"),
        ("file=a,file=b", "named twice"),
        ({"file": ["a"]}, "columns"),
        (7, "columns"),
    ],
)
def test_columns_that_are_none_are_refused(root: Path, columns, says):
    (root / "t.csv").write_text(written(ROWS))
    with pytest.raises(ConfigError, match=says):
        load_data(root, columns=columns)


def test_settings_that_contradict_each_other_are_refused(root: Path):
    (root / "t.csv").write_text(written(ROWS))
    with pytest.raises(ConfigError, match=r"which data.read_subjects=false contradicts"):
        load_data(root, columns={"subject": "patient_id"}, read_subjects=False)
    with pytest.raises(ConfigError, match=r"which data.group_pattern contradicts"):
        load_data(root, columns={"subject": "patient_id"}, group_pattern="(i)")
    with pytest.raises(ConfigError, match=r"which data.roles=false contradicts"):
        load_data(root, columns={"part": "patient_id"}, roles=False)
    with pytest.raises(ConfigError, match=r"data.columns names columns of a table, and .* holds none"):
        load_data(put(root.parent / "plain", ["a/1.png", "b/2.png"]), columns="file=x,class=y")
    with pytest.raises(ConfigError, match="labels cannot be used with"):
        load_data("digits", labels="t.csv")
    assert read_columns(None) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty|single column"),
        (b"image\nim01\n", "single column, 'image'"),
        (b"image,label\n", "names columns and no images"),
        (b"\0\1\2,\0", "no table of text"),
        (b'image,label\n"im01,a\nim02,b\n', "line 3: unexpected end of data"),
        (b'image,label\n"im01"x,a\n', "line 2: "),
        (b"image,label,label\nim01,a,a\n", "several columns may be the class"),
        (b"image,label\nim01," + b"x" * 200_000 + b"\n", "field larger than field limit"),
        ("image,label\nim01,a\n".encode("utf-16")[:-1], "no text in utf-16"),
    ],
)
def test_damaged_tables_are_an_error_in_words(root: Path, content, says):
    (root / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        load_data(root, labels="t.csv")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip)
WORDS = TEXT.filter(lambda one: one and one.casefold() not in ("nan", "null", "n/a", "#n/a", "<na>"))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    ending=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_whatever_is_written_is_read_back(tmp_path_factory, rows, delimiter, quoting, ending, encoding):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    text = written(rows, ["file", "label", "subject"], delimiter=delimiter, quoting=quoting, lineterminator=ending)
    path.write_bytes(text.encode(encoding))
    file = open_label_file(path)
    assert file.header == ("file", "label", "subject")
    assert file.delimiter == delimiter
    table = read_labels(file, Columns(0, (1,), 2, None), stated=True, complete=False)
    numbers = {place.class_name for place in table.places} != {one for _, one, _ in rows}  # 1.0 is 1
    assert list(table.names) == [name for name, *_ in rows]
    assert [place.subject for place in table.places] == [who for *_, who in rows]
    assert numbers or [place.class_name for place in table.places] == [label for _, label, _ in rows]


def test_a_table_of_very_many_rows_is_read_in_bounded_time(tmp_path: Path):
    count = 200_000
    path = tmp_path / "t.csv"
    path.write_text("id,label,patient\n" + "".join(f"im{k},c{k % 7},p{k // 10}\n" for k in range(count)))
    images = [f"images/part{k % 3}/im{k}.png" for k in range(count)]
    started = time.process_time()
    table = read_labels(open_label_file(path), Columns(0, (1,), 2, None), stated=True)
    found = find_named(table.names, images, tmp_path, path)
    assert time.process_time() - started < 20
    assert found.positions.tolist() == list(range(count))
    assert len({id(place) for place in table.places}) <= 140_001, "rows that say the same share it"
