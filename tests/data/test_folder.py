import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import Role, load_data
from spikewise.data.names import read_fingerprint
from spikewise.errors import ConfigError, DataError, MissingDataError, StorageError


def image(path: Path, shape=(4, 4), value: int | None = None, mode="L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(str(path.name).encode()))
    pixels = rng.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def test_a_class_tree_is_read_as_it_lies(tree: Path):
    found = load_data(tree)
    assert (found.classes, found.labels.tolist(), found.image_shape) == (("cat", "dog"), [0, 0, 0, 1, 1, 1], (1, 6, 5))
    assert found.sources[0] == "cat/s0_cat.png"
    for source, pixels in zip(found.sources, found.images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tree / source)), pixels[0])


@pytest.mark.parametrize("outer", ["", "archive/archive"])
def test_role_folders_give_roles(tmp_path: Path, outer):
    for role in ("train", "Val", "TEST"):
        for name in ("a", "b"):
            image(tmp_path / "set" / outer / role / name / "1.png")
    found = load_data(tmp_path / "set")
    assert found.classes == ("a", "b")
    assert sorted(found.roles.tolist()) == [Role.TRAIN] * 2 + [Role.VALIDATION] * 2 + [Role.TEST] * 2


def test_clutter_is_passed_over_and_other_files_noted(tree: Path):
    (tree / "cat" / ".DS_Store").write_bytes(b"x")
    (tree / "__MACOSX").mkdir()
    (tree / "cat" / "about.txt").write_text("hello")
    found = load_data(tree)
    assert found.notes == (
        "Folders passed over: __MACOSX.",
        "1 files that are not images were passed over, such as cat/about.txt.",
    )


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "holds no images"),
        (["a/1.png"], "single class"),
        (["1.png", "a/2.png", "b/3.png"], "not a tree of class/file: 1 images 0 folders deep, 2 images 1"),
        (["a/1.png", "b/deeper/2.png"], "not a tree of class/file"),
        (["train/a/1.png", "train/b/1.png", "cat/a/1.png"], r"parts \(train\) beside others"),
        (["train/a/1.png", "test/2.png"], r"not a tree of train\|val\|test/class/file"),
    ],
)
def test_a_mess_is_described(tmp_path: Path, files, says):
    (tmp_path / "set").mkdir()
    for file in files:
        image(tmp_path / "set" / file)
    with pytest.raises(DataError, match=says):
        load_data(tmp_path / "set")


def test_an_empty_class_folder_is_left_out_with_a_word(tree: Path):
    plain = load_data(tree)
    (tree / "emu").mkdir()
    found = load_data(tree)
    assert (found.classes, found.fingerprint) == (("cat", "dog"), plain.fingerprint)
    assert found.from_names == ("Class folders without images were left out: emu.",)


def test_what_a_class_folder_holds_instead_of_images_is_said(tree: Path):
    (tree / "emu").mkdir()
    (tree / "emu" / "1.heic").write_bytes(b"x")
    (told,) = load_data(tree).from_names
    assert "left out: emu. They hold 1 files that are not images, such as emu/1.heic. Images are .apng, .bmp" in told
    for file in (tree / "dog").iterdir():
        file.unlink()
    with pytest.raises(
        DataError, match=r"a single class \(cat\).*at least two\. Class folders .* left out: dog, emu\."
    ):
        load_data(tree)


def test_a_class_that_is_empty_in_one_part_is_kept_for_the_others(tmp_path: Path):
    for file in ("train/a/1.png", "train/b/2.png", "test/a/3.png"):
        image(tmp_path / "set" / file)
    (tmp_path / "set" / "test" / "b").mkdir()
    found = load_data(tmp_path / "set")
    assert (found.classes, found.from_names) == (
        ("a", "b"),
        ("Class folders without images were left out: test/b.",),
    )


def test_a_missing_folder_is_missing(tmp_path: Path):
    with pytest.raises(MissingDataError, match="does not exist"):
        load_data(tmp_path / "no" / "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_link_to_nowhere_and_a_pipe_are_bad_files(tree: Path):
    (tree / "cat" / "lost.png").symlink_to(tree / "nowhere")
    os.mkfifo(tree / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"2 of \d+ images") as error:
        load_data(tree, size=8)
    assert re.search(r"lost\.png is a link to a file that does not exist", str(error.value))
    assert re.search(r"pipe\.png is a pipe", str(error.value))
    assert "2 files could not be decoded" in " ".join(load_data(tree, size=8, skip_bad=True).notes)


def test_a_link_that_leads_back_up_is_found(tree: Path):
    (tree / "cat" / "loop").symlink_to(tree)
    with pytest.raises(DataError, match="deep"):
        load_data(tree)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="Windows knows no such mode, and root may read anything"
)
def test_an_unreadable_folder_says_so(tree: Path):
    (tree / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match="permissions"):
            load_data(tree)
    finally:
        (tree / "cat").chmod(0o755)


def lit(picture: np.ndarray) -> tuple[int, int, int, int]:
    """First row, first column, height and width of what is not black."""
    rows, columns = np.flatnonzero(picture.any((0, 2))), np.flatnonzero(picture.any((0, 1)))
    return int(rows[0]), int(columns[0]), len(rows), len(columns)


def test_mixed_sizes_and_modes_come_to_a_square_in_proportion(tmp_path: Path):
    image(tmp_path / "set" / "a" / "1.png", (4, 6), value=200)
    image(tmp_path / "set" / "b" / "2.png", (16, 4), value=100, mode="RGB")
    image(tmp_path / "set" / "b" / "3.png", (8, 3), value=100)
    found = load_data(tmp_path / "set")
    assert found.image_shape == (3, 8, 8), "the median of 6, 16 and 8"
    assert [lit(picture) for picture in found.images] == [(1, 0, 5, 8), (0, 3, 8, 2), (0, 2, 8, 3)]
    assert found.images[0].max() == 200
    assert found.cautions == (
        "Images of 3 sizes (height x width: 4x6, 8x3, 16x4) are brought to 8x8, in proportion, the rest black. Another "
        "size: data.size=N or HEIGHTxWIDTH.",
    )
    assert load_data(tmp_path / "set").cautions == found.cautions, "from the cache, too"
    white = load_data(tmp_path / "set", background="white")
    assert (white.images[1, 0, :, 0] == 255).all()
    assert load_data(tmp_path / "set", aspect="stretch").images.min() == 100
    with pytest.raises(DataError, match=r"3 sizes \(height x width: 4x6, 8x3, 16x4\), and data.size=none keeps"):
        load_data(tmp_path / "set", size="none")
    kept = load_data(tmp_path / "set", size=8, aspect="keep")
    assert (kept.fingerprint, kept.cautions) == (found.fingerprint, ())


def test_the_common_size_is_that_of_the_training_images_and_at_most_64(tmp_path: Path):
    for role, sides in (("train", (9, 9, 11)), ("test", (100, 200, 300))):
        for number, side in enumerate(sides):
            for name in ("a", "b"):
                image(tmp_path / "set" / role / name / f"{number}.png", (side, side))
    assert load_data(tmp_path / "set").image_shape == (1, 9, 9)
    assert load_data(tmp_path / "set" / "test").image_shape == (1, 64, 64)


def test_equal_sizes_stay_whatever_they_are(tmp_path: Path):
    for name in ("a", "b"):
        image(tmp_path / "set" / name / "1.png", (100, 150))
    found = load_data(tmp_path / "set")
    assert (found.image_shape, found.cautions) == ((1, 100, 150), ())
    assert found.fingerprint == load_data(tmp_path / "set", size="none").fingerprint


def test_a_size_and_modes_that_were_asked_for_are_taken(tmp_path: Path):
    image(tmp_path / "set" / "a" / "1.png", (4, 6))
    image(tmp_path / "set" / "b" / "2.png", (8, 3), mode="RGB")
    assert load_data(tmp_path / "set", size=5).image_shape == (3, 5, 5)
    assert load_data(tmp_path / "set", size=(5, 7), grey=True).image_shape == (1, 5, 7)


@pytest.mark.parametrize("options", [{}, {"size": 6, "grey": True}], ids=str)
def test_bad_files_are_listed_or_left_out_and_noted(tree: Path, options):
    (tree / "cat" / "empty.png").write_bytes(b"")
    whole = (tree / "dog" / "s0_dog.png").read_bytes()
    (tree / "cat" / "cut.png").write_bytes(whole[: len(whole) - 25])
    with pytest.raises(
        DataError, match=r"(?s)2 of 8 images.*cut\.png.*empty\.png is not an image: it is empty.*skip-bad"
    ):
        load_data(tree, **options)
    found = load_data(tree, skip_bad=True, **options)
    assert len(found) == 6
    assert found.notes == ("2 files could not be decoded and were left out: cat/cut.png, cat/empty.png.",)
    assert found.from_names == found.notes  # so that a terminal shows it, too
    (tree / "cat" / "empty.png").unlink()
    (tree / "cat" / "cut.png").unlink()
    clean = load_data(tree, **options)
    np.testing.assert_array_equal(found.images, clean.images)
    assert (found.sources, found.fingerprint) == (clean.sources, clean.fingerprint)


def test_a_class_of_bad_files_alone_is_an_error(tree: Path):
    for file in (tree / "dog").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no image has label 1 \(dog\)"):
        load_data(tree, skip_bad=True)


def test_images_are_decoded_once_and_mapped(tree: Path):
    calls: list[tuple[str, int, int]] = []
    first = load_data(tree, progress=lambda *state: calls.append(state))
    assert calls == [("decoding images", 6, 6)]
    second = load_data(tree, progress=lambda *state: calls.append(state))
    assert len(calls) == 1
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    assert first.fingerprint == second.fingerprint


def test_the_cache_notices_an_exchanged_file_of_same_size_and_time(tmp_path: Path):
    for name in ("a", "b"):
        image(tmp_path / "set" / name / "1.bmp", value=10)
    before = load_data(tmp_path / "set")
    victim = tmp_path / "set" / "a" / "1.bmp"
    status = victim.stat()
    image(victim, value=20)
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert victim.stat().st_size == status.st_size
    after = load_data(tmp_path / "set")
    assert (before.images[0].max(), after.images[0].max()) == (10, 20)


def test_a_damaged_cache_is_made_again(tree: Path, tmp_path: Path):
    before = load_data(tree).fingerprint
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:50])
    assert load_data(tree).fingerprint == before


def test_two_at_once_end_with_one_whole_cache(tree: Path, tmp_path: Path):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(load_data(tree).fingerprint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    shown = [file for file in (tmp_path / "cache").iterdir() if not file.name.startswith(".")]
    assert sorted(file.suffix for file in shown) == [".json", ".npy"]


def test_a_cache_that_cannot_be_written_says_so(tree: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file stands"):
        load_data(tree, cache_dir=tmp_path / "file" / "below")


def test_subjects_come_from_file_names(tree: Path):
    found = load_data(tree, group_pattern=r"s(\d)_")
    assert found.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert load_data(tree, group_pattern=r"s(\d)_", subjects=2).labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="finds no subject in 3 of 6 file names, for example s0_dog"):
        load_data(tree, group_pattern=r"(cat)")
    with pytest.raises(ConfigError, match="one capturing group"):
        load_data(tree, group_pattern=r"cat")
    with pytest.raises(ConfigError, match="whose subjects are known"):
        load_data(tree, subjects=2)
    with pytest.raises(ConfigError, match="there are 3"):
        load_data(tree, group_pattern=r"s(\d)_", subjects=9)


@pytest.mark.parametrize("size", [0, -3, 5000, "a", "3x", 1.5])
def test_impossible_sizes_are_refused(tree: Path, size):
    with pytest.raises(ConfigError, match="size"):
        load_data(tree, size=size)


@pytest.fixture
def fingers(tmp_path: Path) -> Path:
    root = tmp_path / "SOCOFing"
    for subject in (1, 2, 10):
        for hand in ("Left", "Right"):
            for finger in ("thumb", "index", "middle", "ring", "little"):
                stem = f"{subject}__{'F' if subject == 2 else 'M'}_{hand}_{finger}_finger"
                shape = (103, 96) if subject < 10 else (298, 241)
                image(root / "Real" / f"{stem}.BMP", shape, mode="RGBA")
                image(root / "Altered" / "Altered-Easy" / f"{stem}_CR.BMP", (103, 96))
    return root


def test_fingerprints_are_grey_of_one_size_and_never_published(fingers: Path):
    found = load_data(fingers)
    assert (len(found), found.image_shape, found.publishable) == (30, (1, 97, 97), False)
    assert found.images.std() > 10
    assert set(found.groups.tolist()) == {1, 2, 10}
    assert found.classes[:2] == ("left thumb", "left index")
    first = found.sources.index("Real/1__M_Right_little_finger.BMP")
    assert found.classes[found.labels[first]] == "right little"


def test_fingerprint_targets_and_parts(fingers: Path):
    assert load_data(fingers, target="hand").classes == ("left", "right")
    gender = load_data(fingers, target="gender")
    assert {(int(group), gender.classes[label]) for group, label in zip(gender.groups, gender.labels, strict=True)} == {
        (1, "male"), (2, "female"), (10, "male")
    }  # fmt: skip
    assert len(load_data(fingers, part="all")) == 60
    assert all("_CR" in file for file in load_data(fingers, part="altered").sources)
    altered = load_data(fingers, target="altered", subjects=2)
    assert (np.bincount(altered.labels).tolist(), set(altered.groups.tolist())) == ([20, 20], {1, 2})
    with pytest.raises(ConfigError, match="Use 'all'"):
        load_data(fingers, target="altered", part="real")
    with pytest.raises(ConfigError, match="bit depth"):
        load_data(fingers, grey=False)
    with pytest.raises(ConfigError, match="belong to fingerprints"):
        load_data(make_plain_tree(fingers.parent / "plain"), target="hand")


def make_plain_tree(root: Path) -> Path:
    for name in ("a", "b"):
        image(root / name / "1.png")
    return root


def test_fingerprint_names_are_read_exactly():
    print_ = read_fingerprint("12__F_Right_ring_finger_Zcut")
    assert print_ == (12, "F", "right", "ring", "Zcut")
    assert read_fingerprint("12__F_Right_ring_finger_Other") is None
