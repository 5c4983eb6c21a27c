"""Folders of any depth: what each level says is stated, never guessed; a tree without that is refused with ways."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from placed import put

from spikewise.data import Role, load_data, split
from spikewise.data.audit import audit
from spikewise.data.levels import check_levels, outer_folders, proposals, words_of
from spikewise.errors import ConfigError, DataError


def patients(count: int = 8, images: int = 3) -> list[tuple[str, str, str]]:
    """Class, subject and file name of each image; patients 0 and 1 have both classes."""
    return [
        (name, f"p{who}", f"p{who}_{name}_{k}.png")
        for name, whose in (("benign", range(count // 2)), ("malignant", (0, 1, *range(count // 2, count))))
        for who in whose
        for k in range(images)
    ]


@pytest.mark.parametrize(
    ("levels", "place"),
    [
        ("class/subject", "{c}/{s}/{f}"),
        ("subject/class", "{s}/{c}/{f}"),
        ("*/subject/class", "x{c}/{s}/{c}/{f}"),
        ("class/*/subject", "{c}/scans/{s}/{f}"),
        ("class/subject/**", "{c}/{s}/deep/er/{f}"),
        ("class/subject", "archive/archive/{c}/{s}/{f}"),
        (" Class/Subject/file ", "{c}/{s}/{f}"),
    ],
)
def test_levels_say_class_and_subject(tmp_path: Path, levels, place):
    files = patients()
    flat = put(tmp_path / "flat", [f"{c}/{f}" for c, _, f in files])
    wanted = load_data(flat, group_pattern="(p[0-9]+)_")
    root = put(tmp_path / "set", [place.format(c=c, s=s, f=f) for c, s, f in files])
    found = load_data(root, levels=levels)
    assert found.classes == ("benign", "malignant")
    assert found.subjects_rule.trust == "stated"
    np.testing.assert_array_equal(found.groups, wanted.groups)
    np.testing.assert_array_equal(found.images, wanted.images)
    for mine, theirs in zip(split(found), split(wanted), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for part in split(found):  # a subject stands on one side
        others = np.setdiff1d(np.arange(len(found)), part)
        assert not set(found.groups[part]) & set(found.groups[others])


def test_parts_above_or_below_the_class(tmp_path: Path):
    files = [(part, c, s, f"{part}{f}") for part in ("train", "Val", "test") for c, s, f in patients()]
    above = put(tmp_path / "above", [f"{part}/{c}/{part}{s}/{f}" for part, c, s, f in files])
    below = put(tmp_path / "below", [f"{c}/{part}/{part}{s}/{f}" for part, c, s, f in files])
    one, other = load_data(above, levels="part/class/subject"), load_data(below, levels="class/part/subject")
    assert {int(role) for role in one.roles} == {Role.TRAIN, Role.VALIDATION, Role.TEST}
    assert one.fingerprint == other.fingerprint
    assert one.groups.max() == 23
    plain = load_data(above, levels="part/class/*")
    assert plain.groups is None
    assert plain.fingerprint != one.fingerprint, "without subjects it is divided otherwise"


def test_one_name_below_two_classes_is_one_subject_and_it_is_said(tmp_path: Path):
    root = put(tmp_path / "set", [f"{c}/{s}/{f}" for c, s, f in patients()])
    (said,) = load_data(root, levels="class/subject").from_names
    assert said.startswith("2 of 8 subjects have several folders: one name is taken for one subject")
    turned = put(tmp_path / "turned", [f"{s}/{c}/{f}" for c, s, f in patients()])
    assert load_data(turned, levels="subject/class").from_names == ()


def test_without_subjects_among_the_levels_file_names_may_tell_them(tmp_path: Path):
    root = put(tmp_path / "set", [f"{c}/x/patient{s[1:]}_{f}" for c, s, f in patients()])
    found = load_data(root, levels="class/*")
    assert found.subjects_rule.trust == "likely"
    assert load_data(root, levels="class/*", group_pattern="(p[0-9]+)_").groups.max() == 7
    assert load_data(root, levels="class/*", read_subjects=False).groups is None
    assert len(set(load_data(put(tmp_path / "s", [f"{c}/{s}/{f}" for c, s, f in patients()]), levels="class/subject",
                             subjects=3).groups.tolist())) == 3  # fmt: skip


@pytest.mark.parametrize(
    ("place", "ways"),
    [
        ("{c}/{s}/{f}", ["class/subject", "class/*", "subject/class"]),
        ("{s}/{c}/{f}", ["subject/class", "*/class", "class/subject"]),
        ("archive/{c}/{s}/{f}", ["class/subject", "class/*", "subject/class"]),
        ("train/{c}/{s}/{f}", ["part/class/subject", "part/class/*", "part/subject/class"]),
        ("{c}/{s}/{f}/1.png", ["class/subject/*", "class/*/*", "class/*/subject"]),
        ("{c}/a/{f}", ["class/subject", "class/*"]),
        ("{c}/train/{f}", ["class/part"]),
        ("{c}/test/{s}/{f}", ["class/part/subject", "class/part/*", "subject/part/class"]),
    ],
)
def test_a_deeper_tree_is_refused_with_settings_that_read_it(tmp_path: Path, place, ways):
    root = put(tmp_path / "set", [place.format(c=c, s=s, f=f) for c, s, f in patients()])
    with pytest.raises(DataError, match=r"(?s)is not a tree of .*class/file.*Only you know") as error:
        load_data(root)
    said = [shlex.split(line)[1] for line in str(error.value).splitlines() if line.startswith("  --set ")]
    assert said == [f"data.levels={way}" for way in ways]
    for way in ways:
        assert len(load_data(root, levels=way)) == len(patients())


def test_a_tree_of_several_depths_is_read_by_two_stars(tmp_path: Path):
    root = put(tmp_path / "set", ["a/1.png", "a/x/2.png", "b/y/z/3.png", "b/4.png"])
    with pytest.raises(DataError, match=r"'data.levels=class/\*\*' \(2 classes: a, b\)"):
        load_data(root)
    assert load_data(root, levels="class/**").labels.tolist() == [0, 0, 1, 1]
    mixed = put(tmp_path / "mixed", ["1.png", "a/2.png", "b/3.png"])
    with pytest.raises(DataError, match="Put each image directly into the folder of its class"):
        load_data(mixed)


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ("class", "lies 1 folder deep; 30 of 30 do not, such as benign/p0/p0_benign_0.png \\(2 folders\\)"),
        ("class/subject/*", "lies 3 folders deep"),
        ("class/subject/*/**", "lies at least 3 folders deep"),
        ("part/class", r"they are called benign, malignant\. A part is called train, val or test"),
    ],
)
def test_levels_that_do_not_fit_are_refused(tmp_path: Path, levels, says):
    root = put(tmp_path / "set", [f"{c}/{s}/{f}" for c, s, f in patients()])
    with pytest.raises(DataError, match=says):
        load_data(root, levels=levels)


@pytest.mark.parametrize("levels", ["class/subject", "subject/class", "class/*"])
def test_a_level_of_parts_is_nothing_else(tmp_path: Path, levels):
    root = put(
        tmp_path / "set", [f"{c}/{part}/{c}{part}{k}.png" for c in "abc" for part in ("train", "test") for k in "12"]
    )
    better = "subject/part" if levels == "subject/class" else "class/part"
    with pytest.raises(DataError, match=rf"are parts of a split \(test, train\): data\.levels={better} reads them so"):
        load_data(root, levels=levels)
    found = load_data(root, levels="class/part")
    assert found.classes == ("a", "b", "c")
    assert sorted(set(found.roles.tolist())) == [Role.TRAIN, Role.TEST]
    assert load_data(root, levels="class/*", roles=False).classes == ("a", "b", "c")


def test_folders_of_parts_are_no_classes_unless_it_is_said(tmp_path: Path):
    root = put(
        tmp_path / "set", [f"{part}/{c}/{part}{c}{k}.png" for part in ("train", "test") for c in "ab" for k in "12"]
    )
    with pytest.raises(DataError, match=r"has no word for them: part, as in part/class/subject.*data.roles=false"):
        load_data(root, levels="class/subject")
    assert load_data(root, levels="class/subject", roles=False).classes == ("test", "train")
    assert load_data(root, levels="part/class").fingerprint == load_data(root).fingerprint


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"levels": "class/subject", "group_pattern": "(p)"}, "Give one of the two"),
        ({"levels": "class/subject", "read_subjects": False}, "data.read_subjects=false"),
        ({"levels": "part/class", "roles": False}, "data.roles=false says that no folder is one"),
        ({"levels": "class/*", "labels": "x.csv"}, "folders tell the classes, and data.labels"),
        ({"levels": "class/*", "columns": "file=a,class=b"}, "or data.columns that a table does"),
        ({"levels": "class/person"}, "'person' is no level"),
        ({"levels": "klass/subject"}, "Did you mean 'class'"),
        ({"levels": "class/class"}, "'class' stands twice"),
        ({"levels": "subject/*"}, "no level is the class"),
        ({"levels": "class/**/subject"}, r"\*\* stands at the end alone"),
        ({"levels": "class" + "/*" * 9}, "at most 8"),
        ({"levels": ""}, "is no level"),
        ({"levels": "class//subject"}, "is no level"),
    ],
)
def test_what_does_not_fit_together_is_one_message(tmp_path: Path, options, says):
    root = put(tmp_path / "set", [f"{c}/{s}/{f}" for c, s, f in patients()])
    with pytest.raises(ConfigError, match=says):
        load_data(root, **options)


def test_levels_are_of_folders_alone(tmp_path: Path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((4, 3, 3), np.uint8), y=np.arange(4) % 2)
    with pytest.raises(ConfigError, match="levels cannot be used with"):
        load_data(path, levels="class/subject")
    with pytest.raises(ConfigError, match="levels cannot be used with"):
        load_data("digits", levels="class/subject")
    prints = put(tmp_path / "set", [f"Real/{k}__M_Left_{f}_finger.BMP" for k in (1, 2) for f in ("thumb", "index")])
    with pytest.raises(ConfigError, match=r"data\.levels cannot be used .* named as SOCOFing"):
        load_data(prints, levels="class")


def test_class_folders_without_images_are_left_out_with_a_word(tmp_path: Path):
    root = put(tmp_path / "set", [f"{c}/{s}/{f}" for c, s, f in patients()])
    (root / "other" / "p1").mkdir(parents=True)
    assert "Class folders without images were left out: other." in load_data(root, levels="class/subject").from_names


def test_the_audit_knows_the_subjects_and_takes_their_folders_for_known(tmp_path: Path):
    root = put(tmp_path / "set", [f"{s}/{c}/{f}" for c, s, f in patients(12)])
    found = load_data(root, levels="subject/class")
    seen = audit(found, split(found), root=root)
    assert seen.subjects == 12
    assert not any("folder (" in one.target for one in seen.probes)
    across = audit(
        found, split(found).__class__(*np.array_split(np.random.default_rng(0).permutation(len(found)), 3)), root=root
    )
    assert across.find("subjects-across").severity == "red"


def test_two_spellings_of_one_number_are_two_subjects_in_a_fixed_order(tmp_path: Path):
    root = put(tmp_path / "set", [f"{c}/{s}/{c}{s}.png" for c in "ab" for s in ("1", "01", "2", "10")])
    found = load_data(root, levels="class/subject")
    assert [Path(file).name for file in found.sources[:4]] == ["a01.png", "a1.png", "a10.png", "a2.png"]
    assert found.groups.tolist() == [0, 1, 3, 2] * 2


def test_properties_of_levels_on_random_trees():
    rng = np.random.default_rng(7)
    for _ in range(300):
        depth = int(rng.integers(1, 6))
        names = [[f"{level}{k}" for k in range(int(rng.integers(1, 5)))] for level in range(depth)]
        parents = sorted({tuple(str(rng.choice(level)) for level in names) for _ in range(20)})
        for way in proposals(parents, roles=True):
            assert check_levels(way.levels) == way.levels
            words = words_of(way.levels)
            assert outer_folders(parents, words) == 0
            assert all(len(one) == len(words.names) for one in parents)
            assert re.fullmatch(r"--set \S+ \(.*\)", str(way).replace("'", ""))
