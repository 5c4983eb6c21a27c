import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikewise.data import Role, load_data
from spikewise.data.idx import encode_idx, read_idx
from spikewise.errors import DataError, MissingDataError

DTYPES = ("u1", "i1", "i2", "i4", "f4", "f8")
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=5)))


@given(array=ARRAYS, packed=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_encoded_is_read_back(tmp_path: Path, array, packed):
    content = encode_idx(array)
    (tmp_path / "a").write_bytes(gzip.compress(content) if packed else content)
    read = read_idx(tmp_path / "a")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


PLAIN = encode_idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
BAD = {
    "ends early": PLAIN[:-1],
    "is longer": PLAIN + b"!",
    "ends within its header": PLAIN[:10],
    "not an IDX file: it starts with nothing": b"",
    "not an IDX file: it starts with 89 50": b"\x89PNG" + PLAIN,
    "damaged gzip": gzip.compress(PLAIN)[:-9],
    "longer than": gzip.compress(PLAIN + bytes(1 << 20)),
    "GiB of": struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**10, 2**10) + b"x",
}


@pytest.mark.parametrize("says", BAD)
def test_damaged_idx_is_refused_in_words(tmp_path: Path, says):
    (tmp_path / "bad").write_bytes(BAD[says])
    with pytest.raises(DataError, match=says):
        read_idx(tmp_path / "bad")


def test_a_flipped_bit_in_a_gzip_is_noticed(tmp_path: Path):
    packed = bytearray(gzip.compress(PLAIN))
    packed[-6] ^= 1
    (tmp_path / "bad").write_bytes(packed)
    with pytest.raises(DataError, match="damaged gzip"):
        read_idx(tmp_path / "bad")


def test_a_lying_header_costs_no_memory(tmp_path: Path):
    (tmp_path / "lie").write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 1000, 1000, 1000) + b"x")
    with pytest.raises(DataError, match="ends early"):
        read_idx(tmp_path / "lie")


def test_a_missing_file_is_missing(tmp_path: Path):
    with pytest.raises(MissingDataError, match="does not exist"):
        read_idx(tmp_path / "nothing")


IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 1, 1, 0], np.uint8)


def write_pair(folder: Path, prefix: str, images=IMAGES, labels=LABELS) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(encode_idx(images)))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(labels))


def test_a_folder_of_idx_files_has_their_roles(tmp_path: Path):
    write_pair(tmp_path / "d", "train")
    write_pair(tmp_path / "d", "t10k", IMAGES[:2], LABELS[:2])
    found = load_data(tmp_path / "d")
    assert found.roles.tolist() == [Role.TRAIN] * 4 + [Role.TEST] * 2
    np.testing.assert_array_equal(found.images[:4, 0], IMAGES)


def test_one_idx_file_is_joined_by_its_labels(tmp_path: Path):
    write_pair(tmp_path / "d", "train")
    found = load_data(tmp_path / "d" / "train-images-idx3-ubyte.gz")
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert set(found.roles) == {Role.UNASSIGNED}


def test_emnist_is_turned_back_and_letters_start_at_a(tmp_path: Path):
    images = np.arange(26 * 4, dtype=np.uint8).reshape(26, 2, 2)
    for part in ("train", "test"):
        write_pair(tmp_path / "emnist", f"emnist-letters-{part}", images, np.arange(1, 27, dtype=np.uint8))
    for source in ("emnist-letters", tmp_path / "emnist"):
        found = load_data(source, data_dir=tmp_path)
        np.testing.assert_array_equal(found.images[:26, 0], images.transpose(0, 2, 1))
        assert found.labels[:3].tolist() == [0, 1, 2]
    assert load_data("emnist-letters", data_dir=tmp_path).classes[:3] == ("a", "b", "c")


def test_several_sets_in_one_folder_are_not_guessed_between(tmp_path: Path):
    write_pair(tmp_path / "d", "emnist-digits-train")
    write_pair(tmp_path / "d", "emnist-mnist-train")
    with pytest.raises(DataError, match=r"several sets .*emnist-digits, emnist-mnist"):
        load_data(tmp_path / "d")


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (IMAGES, LABELS[:3], "4 images and 3 labels"),
        (IMAGES, np.array([0, 2, 2, 0], np.uint8), r"no image has label 1 \(1\)"),
        (IMAGES, np.array([0, 0, 0, 0], np.uint8), "single class"),
        (IMAGES[:0], LABELS[:0], "holds no images"),
        (IMAGES[0], LABELS, "expected images"),
    ],
)
def test_images_and_labels_that_do_not_fit(tmp_path: Path, images, labels, says):
    write_pair(tmp_path / "d", "train", images, labels)
    with pytest.raises(DataError, match=says):
        load_data(tmp_path / "d")


def test_a_label_beyond_the_known_classes_is_refused(tmp_path: Path):
    for part in ("train", "t10k"):
        write_pair(tmp_path / "mnist", part, labels=np.array([0, 1, 77, 0], np.uint8))
    with pytest.raises(DataError, match=r"image 2 has label 77, and there are 10 classes"):
        load_data("mnist", data_dir=tmp_path)


def test_labels_without_images_are_named(tmp_path: Path):
    write_pair(tmp_path / "d", "train")
    (tmp_path / "d" / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(MissingDataError, match="has no images beside it"):
        load_data(tmp_path / "d")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (struct.pack(">BBBB64I", 0, 0, 8, 64, *[2**31] * 64), "claims 64 axes"),
        (struct.pack(">BBBB30I", 0, 0, 8, 30, *[2**31] * 30), "over a billion GiB"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 2**31, 2**31), "holds no images"),
        (struct.pack(">BBBB3I", 0, 0, 14, 3, 2**31, 2**31, 2**31), "over a billion GiB"),
    ],
    ids=str,
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_no_machine_can_hold_is_refused(tmp_path: Path, header, says, packed):
    (tmp_path / "x").write_bytes(gzip.compress(header) if packed else header)
    with pytest.raises(DataError, match=says):
        read_idx(tmp_path / "x")


def test_what_follows_a_gzip_file_is_refused(tmp_path: Path):
    content = gzip.compress(encode_idx(np.arange(6, dtype=np.uint8)))
    for whole in (content + b"more", content[:-9], content + gzip.compress(b"more")):
        (tmp_path / "x").write_bytes(whole)
        with pytest.raises(DataError, match=r"damaged|longer"):
            read_idx(tmp_path / "x")


def test_labels_that_are_no_numbers_are_refused(tmp_path: Path):
    (tmp_path / "t-images-idx3-ubyte").write_bytes(encode_idx(np.full((2, 3, 3), 9, np.uint8)))
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(encode_idx(np.array([np.nan, 1], np.float32)))
    with pytest.raises(DataError, match="not whole numbers"):
        load_data(tmp_path / "t-images-idx3-ubyte")
