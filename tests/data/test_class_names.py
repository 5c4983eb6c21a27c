"""A word names one thing: class folders, Unicode forms, names in capitals, classes of published sets read by path."""

import gzip
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spikewise.data import Role, load_data, split
from spikewise.data.classes import alike, match_classes, one_class, unify
from spikewise.data.idx import encode_idx
from spikewise.data.names import as_path, shown
from spikewise.errors import DataError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "grün") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"  # what is decoded is kept beside it


def put(path: Path, value: int = 0, count: int = 1) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        pixels = np.full((4, 4), value, np.uint8)
        pixels[0, 0], pixels[0, 1] = k, 255
        Image.fromarray(pixels).save(path / f"{k}.png")


def test_class_folders_are_classes_whatever_they_are_called(root: Path):
    names = ["License", "README.md", "lost+found", "thumbs.db", ".22 LR", "tiles.v1.png", "train.jpg", "desktop.ini"]
    for number, name in enumerate(names):
        put(root / name, number)
    found = load_data(root)
    assert sorted(found.classes) == sorted(names)
    assert found.notes == ()
    for name, label, source in zip(names, range(8), sorted(names), strict=True):
        assert found.sources[label] == f"{source}/0.png"
        assert found.images[list(found.sources).index(f"{name}/0.png"), 0, 1, 1] == names.index(name)


def test_what_is_passed_over_is_named(root: Path):
    for name in ("a", "b", ".ipynb_checkpoints", "__MACOSX", ".venv/lib/icons", "@eaDir"):
        put(root / name)
    (root / "lost+found").mkdir()
    (root / "a" / ".hidden.png").write_bytes((root / "a" / "0.png").read_bytes())
    (root / "a" / "._0.png").write_bytes(b"resource fork")
    found = load_data(root)
    assert found.classes == ("a", "b")
    assert len(found) == 2
    assert found.notes == (
        "Folders passed over: .ipynb_checkpoints, .venv, @eaDir, __MACOSX, lost+found.",
        "1 image files hidden by a dot in front were passed over, such as a/.hidden.png.",
    )


def test_jpegs_by_their_rarer_names_are_images(root: Path):
    for name in ("a", "b"):
        put(root / name)
    for suffix in (".jfif", ".jpe", ".JIF"):
        Image.new("L", (4, 4), 9).save(root / "a" / f"x{suffix}", format="JPEG")
    assert len(load_data(root)) == 5


def test_a_class_called_train_is_a_class_where_that_is_said(root: Path):
    for name in ("bus", "train", "car"):
        put(root / "flat" / name)
    for name in ("train", "test"):
        put(root / "both" / name)
    with pytest.raises(DataError, match=r"beside others \(bus, car\).*If train is a class.*data.roles=false"):
        load_data(root / "flat")
    with pytest.raises(DataError, match=r"If test, train are classes like any other, say so: --set data.roles=false"):
        load_data(root / "both")
    assert load_data(root / "flat", roles=False).classes == ("bus", "car", "train")
    found = load_data(root / "both", roles=False)
    assert found.classes == ("test", "train")
    assert set(found.roles.tolist()) == {Role.UNASSIGNED}


def test_two_unicode_forms_of_one_name_are_one_class(root: Path):
    for part, form in (("train", DECOMPOSED), ("test", COMPOSED)):
        put(root / part / form, 9, count=4)
        put(root / part / "gelb", 7, count=4)
    found = load_data(root)
    assert found.classes == ("gelb", COMPOSED)
    assert [len(part) for part in split(found)] == [6, 2, 8]
    assert "in Unicode form alone are one class: grün" in found.from_names[0]


def test_words_in_arrays_are_classes_as_folders_are(root: Path):
    words = np.array([DECOMPOSED, COMPOSED, " gelb", "gelb", "Gelb"])
    root.mkdir()
    np.savez(root / "x.npz", images=np.arange(80, dtype=np.uint8).reshape(5, 4, 4) * 3, labels=words)
    found = load_data(root / "x.npz")
    assert found.classes == ("gelb", "Gelb", COMPOSED)
    assert found.labels.tolist() == [2, 2, 0, 0, 1]
    assert "'gelb' and 'Gelb'" in found.from_names[1]


def test_classes_that_look_alike_are_kept_apart_and_named():
    assert alike(["A", "a", "b"]) == (
        "Classes that look alike are kept apart: 'A' and 'a'. If they are one, give them one name.",
    )
    for pair in (("ﬁg", "fig"), ("ice cream", "Ice-Cream"), ("x2", "x²"), ("STRASSE", "straße")):
        assert "look alike" in alike(pair)[0]
    for pair in (("1", "-1"), ("11", "1-1"), ("cat", "cats"), ("a", "b")):
        assert alike(pair) == ()


@pytest.mark.skipif(os.name == "nt", reason="Windows has names of text alone")
def test_names_that_are_no_text_are_shown_with_backslashes_and_still_read(root: Path):
    put(root / "b")
    raw = os.fsencode(root) + b"/caf\xe9"
    put(Path(os.fsdecode(raw)), 5)
    Path(os.fsdecode(raw + b"/0.png")).rename(os.fsdecode(raw + b"/n\xff.png"))
    found = load_data(root)
    assert found.classes == ("b", "caf\\xe9")
    assert found.images[1, 0, 1, 1] == 5
    put(root / "caf\\xe9")
    with pytest.raises(DataError, match=r"Two classes read 'caf\\xe9'"):
        load_data(root)


@given(st.text(st.characters(codec=None, exclude_characters="/\0"), min_size=1, max_size=8))
def test_what_is_shown_is_text_and_text_is_shown_as_it_is(name: str):
    text = shown(name)
    assert text.encode("utf-8").decode() == text
    assert text.splitlines() == [text]
    if name.isprintable():
        assert text == name


@pytest.mark.skipif(os.name == "nt", reason="Windows has names of text alone")
@pytest.mark.parametrize("raw", [b"caf\xe9", b"a\nb", b"\xff\xfe", "grün".encode(), b"plain", b"back\\xe9"])
def test_what_is_shown_leads_back_to_the_file(tmp_path: Path, raw: bytes):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw))
    path.write_text("x")
    assert as_path(shown(path)) == path
    assert as_path(str(tmp_path / "not there")) == tmp_path / "not there"


@given(st.lists(st.text(max_size=4), min_size=1, max_size=6, unique=True))
def test_every_folder_gets_the_label_of_its_name(names: list[str]):
    found = unify(names)
    assert len(set(found.names)) == len(found.names)
    for name in names:
        assert found.names[found.label[name]] == one_class(name)


def test_names_are_matched_as_they_are_first_and_by_case_where_one_alone_fits():
    assert match_classes(["A", "a", "B", "b"], ["A", "B", "a", "b"]) == {"A": 0, "a": 2, "B": 1, "b": 3}
    assert match_classes(["DOG", "Owl"], ["cat", "dog", "owl"]) == {"DOG": 1, "Owl": 2}
    assert match_classes([DECOMPOSED], [COMPOSED]) == {DECOMPOSED: 0}
    assert match_classes(["a"], ["A", "B"]) == {"a": 0}
    assert match_classes(["a"], ["A", "a"]) == {"a": 1}
    assert match_classes(["Á"], ["A", "a"]) == {}
    assert match_classes(["DOG", "Dog"], ["dog", "cat"]) == {}, "which of the two it is cannot be told"
    assert match_classes(["-1", "1"], ["1", "-1"]) == {"-1": 1, "1": 0}
    assert match_classes(["-1"], ["1", "2"]) == {}


@given(st.lists(st.sampled_from(["A", "a", "B", "b", "ä", "Ä", "a b", "a-b", "ﬁ"]), unique=True, min_size=1))
def test_a_set_matches_itself_and_no_two_names_get_one_label(names: list[str]):
    assert match_classes(names, names) == {name: label for label, name in enumerate(names)}
    other = [name.swapcase() for name in names]
    assert len(set(match_classes(other, names).values())) == len(match_classes(other, names))


def emnist(folder: Path, prefix: str, first: int, classes: int) -> Path:
    folder.mkdir(parents=True)
    for role in ("train", "test"):
        labels = (np.arange(2 * classes) % classes + first).astype(np.uint8)
        images = np.zeros((len(labels), 28, 28), np.uint8)
        images[:, 0, 0], images[:, 1, 1] = np.arange(len(labels)), 255
        for what, array, axes in (("images", images, 3), ("labels", labels, 1)):
            name = f"{prefix}{role}-{what}-idx{axes}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(encode_idx(array)))
    return folder


def test_emnist_by_path_has_the_names_of_its_classes(root: Path):
    letters = load_data(emnist(root / "letters", "emnist-letters-", 1, 26))
    assert "".join(letters.classes) == "abcdefghijklmnopqrstuvwxyz"
    assert letters.labels[:3].tolist() == [0, 1, 2]
    balanced = load_data(emnist(root / "balanced", "emnist-balanced-", 0, 47))
    assert balanced.classes[10:12] == ("A", "B")
    assert balanced.classes[-1] == "t"
    assert "EMNIST balanced" in balanced.notes[0]
    assert load_data(emnist(root / "plain", "", 0, 26)).classes[:2] == ("0", "1"), "nothing says what these are"


def test_medmnist_by_path_has_the_names_of_its_classes_and_its_positive_class(root: Path):
    root.mkdir()

    def save(name: str, counts: tuple[int, ...]) -> Path:
        arrays: dict[str, np.ndarray] = {}
        for part, count in zip(("train", "val", "test"), counts, strict=True):
            arrays[f"{part}_images"] = np.arange(count * 4, dtype=np.uint32).astype(np.uint8).reshape(count, 2, 2)
            arrays[f"{part}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
        np.savez(root / name, **arrays)
        return root / name

    for name in ("breastmnist.npz", "breastmnist_224.npz"):
        found = load_data(save(name, (546, 78, 156)))
        assert found.classes == ("malignant", "normal, benign")
        assert found.classes[found.positive] == "malignant"
    assert load_data(save("breastmnist_64.npz", (40, 8, 8))).classes == ("0", "1"), "another set of that name"


def test_the_root_that_torchvision_makes_is_read(root: Path):
    emnist(root / "MNIST" / "raw", "", 0, 10)
    assert len(load_data(root / "MNIST")) == 40


def test_arrays_in_folders_below_are_hinted_at(root: Path):
    emnist(root / "set" / "gzip", "", 0, 10)
    (root / "set" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images.*Did you mean .*set/gzip\? It holds arrays"):
        load_data(root / "set")


def test_idx_names_in_capitals_are_read(root: Path):
    folder = emnist(root / "x", "", 0, 10)
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("-idx", "-IDX").replace("train", "Train"))
    assert len(load_data(folder)) == 40
    assert len(load_data(folder / "Train-images-IDX3-ubyte.gz")) == 20


def test_parts_that_lack_a_class_are_named_with_what_is_probably_meant(root: Path):
    for part, names in (("train", ("cat", "dog")), ("test", ("cat", "dogs"))):
        for name in names:
            put(root / part / name, len(name), count=5)
    with pytest.raises(DataError, match=r"train lacks dogs; test lacks dog\. Are 'dogs' and 'dog' one class\?") as said:
        split(load_data(root))
    assert "bring your own split" not in str(said.value)


def test_images_that_are_all_alike_are_said_to_be(root: Path):
    for name in ("a", "b"):
        for k in range(6):
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), 0 if name == "a" else 10 * k).save(root / name / f"{k}.png")
    with pytest.raises(DataError, match=r"6 images that are one, pixel for pixel \(every pixel is 0\)"):
        split(load_data(root))


def test_two_folders_for_one_part_are_both_read_and_named(root: Path):
    for part in ("train", "val", "validation", "test"):
        for name in ("a", "b"):
            put(root / part / name, len(part) * 9 + len(name))
    found = load_data(root)
    assert np.bincount(found.roles).tolist() == [2, 4, 2]
    assert found.from_names == ("Several folders are taken for the validation part: val, validation.",)


def test_a_folder_called_as_a_known_set_is_told_from_it(root: Path, monkeypatch):
    for name in ("a", "b"):
        put(root / "digits" / name, len(name))
    monkeypatch.chdir(root)
    known = load_data("digits")
    assert len(known) == 1797
    assert known.from_names == (
        "'digits' is the known set; what is called so here was not read. To read that: ./digits",
    )
    assert load_data("./digits").classes == ("a", "b")
    monkeypatch.chdir(root.parent)
    assert load_data("digits").from_names == ()
