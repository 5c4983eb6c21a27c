"""Who is on an image is read from names only where the names can mean nothing else, and it is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import load_data, split
from spikewise.data.subjects import chest_subjects, is_chest_xrays, named_subjects, numbered_subjects
from spikewise.errors import ConfigError, DataError

CHEST = ["person7_virus_1.jpeg", "person7_bacteria_2.jpeg", "IM-0007-0001.jpeg", "NORMAL2-IM-0007-0001-0002.jpeg"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"  # what is decoded is kept beside it


def put(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.full((4, 4), 255, np.uint8)
        pixels[0] = [len(folder.name) * 20, number % 16 * 16, number // 16 * 16, sum(map(ord, folder.name)) % 256]
        Image.fromarray(pixels).save(folder / name)


def test_patients_of_the_known_chest_xrays_are_read_and_kinds_kept_apart():
    found = chest_subjects(CHEST)
    assert found.numbers.tolist() == [1, 1, 0, 0]
    assert found.rule.trust == "doubtful"
    assert chest_subjects([*CHEST, "a"]) is None
    assert is_chest_xrays(CHEST, ["PNEUMONIA", "pneumonia", "NORMAL", "Normal"])
    assert not is_chest_xrays(CHEST, ["tumour", "tumour", "healthy", "healthy"])
    assert not is_chest_xrays(CHEST, ["NORMAL"] * 4)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["patient012_3.png", "patient012_4.png", "patient2_1.png", "patient2_7.png"], [1, 1, 0, 0]),
        (["person1_walk_1.png", "Person01_run_2.png", "person2_walk_1.png", "person3_run_1.png"], [0, 0, 1, 2]),
        (["scan-subject-7-a.png", "scan-subject-7-b.png", "scan-subject-8-a.png", "scan-subject-9.png"], [0, 0, 1, 2]),
        (["sub-01_T1w.png", "sub-01_T2w.png", "sub-02_T1w.png", "sub-x3_T1w.png"], [0, 0, 1, 2]),
        (["patient1_a.png", "control1_a.png", "control1_b.png", "patient1_b.png"], [1, 0, 0, 1]),
    ],
)
def test_names_that_say_patient_or_person_are_subjects(names, numbers):
    found = named_subjects(names, ["x", "y"] * 2)
    assert found.numbers.tolist() == numbers
    assert found.rule.trust == "likely"


@pytest.mark.parametrize(
    "names",
    [
        ["IM-0001-0001.png", "IM-0001-0002.png", "IM-0002-0001.png", "IM-0002-0002.png"],
        ["patient1.png", "patient2.png", "patient3.png", "patient4.png"],
        ["patient1_1.png", "patient1_2.png", "patient1_3.png", "patient1_4.png"],
        ["patient1_1.png", "patient1_2.png", "patient2_1.png", "other.png"],
        ["compatible1_1.png", "compatible1_2.png", "compatible2_1.png", "compatible2_2.png"],
        ["subtle-01_a.png", "subtle-01_b.png", "subtle-02_a.png", "subtle-02_b.png"],
        ["0001_1.png", "0001_2.png", "0002_1.png", "0002_2.png"],
    ],
)
def test_other_names_are_no_subjects(names):
    assert named_subjects(names, ["x", "y"] * 2) is None


def test_subjects_that_are_the_classes_are_what_is_to_be_told_apart():
    names = [f"person{who}_{k}.png" for who in range(3) for k in range(4)]
    assert named_subjects(names, [f"person{who}" for who in range(3) for _ in range(4)]) is None
    assert named_subjects(names, ["x", "y"] * 6) is not None


def test_series_of_an_export_are_no_patients_and_a_note_says_so(root: Path):
    for name in ("tumour", "healthy"):
        put(root / name, [f"IM-{series:04d}-{k:04d}.png" for series in (1, 2) for k in range(5)])
    found = load_data(root)
    assert found.groups is None
    assert found.subjects_rule is None
    assert "A series need not be a patient" in found.notes[0]
    assert "data.group_pattern='IM-([0-9]+)-'" in found.notes[0]
    split(found)
    asked = load_data(root, group_pattern="IM-([0-9]+)-")
    assert asked.groups.max() == 1
    assert asked.subjects_rule.trust == "stated"
    assert numbered_subjects(["IM-0001-0001.png", "x.png"]) is None


def test_what_was_read_is_said_and_can_be_refused(root: Path):
    for name in ("run", "walk"):
        put(root / name, [f"person{who}_{name}_{k}.png" for who in range(6) for k in range(4)])
    found = load_data(root)
    assert found.groups.max() == 5
    assert found.from_names[0].startswith("6 subjects were read from the number after 'person' in file names")
    assert "data.read_subjects=false" in found.from_names[0]
    assert "split.grouped=false" in found.from_names[0]
    plain = load_data(root, read_subjects=False)
    assert plain.groups is None
    assert plain.from_names == ()
    with pytest.raises(ConfigError, match="read_subjects=false"):
        load_data(root, read_subjects=False, group_pattern="(person[0-9])")


def test_too_few_subjects_name_the_rule_and_how_not_to(root: Path):
    for name in ("tumour", "healthy"):
        put(root / name, [f"patient{who}_{k}.png" for who in (1, 2) for k in range(9)])
    with pytest.raises(DataError, match="18 images of 2 separate subjects") as said:
        split(load_data(root))
    for words in ("the number after 'patient' in file names", "data.read_subjects=false", "split.grouped=false"):
        assert words in str(said.value)
    split(load_data(root, read_subjects=False))


def test_the_chest_xrays_by_path_are_read_as_by_name(root: Path):
    put(root / "NORMAL", [f"IM-{k:04d}-0001.jpeg" for k in range(6)])
    put(root / "PNEUMONIA", [f"person{k}_virus_{k}.jpeg" for k in range(6)])
    found = load_data(root)
    assert found.groups.max() == 11
    assert found.subjects_rule.trust == "doubtful"
    assert "may belong to different people" in found.notes[0]
