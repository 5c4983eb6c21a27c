import io
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikewise.data import Role, load_data
from spikewise.data.npz import read_member
from spikewise.errors import ConfigError, DataError, MissingDataError

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (6, 5, 4), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 4, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def save(path: Path, **members) -> Path:
    np.savez_compressed(path, **members)
    return path


def test_medmnist_members_keep_their_roles(tmp_path: Path):
    path = save(
        tmp_path / "m.npz",
        train_images=GREY, train_labels=LABELS[:, None],
        val_images=GREY, val_labels=LABELS[:, None],
        test_images=GREY, test_labels=LABELS[:, None],
    )  # fmt: skip
    found = load_data(path)
    assert found.roles.tolist() == [Role.TRAIN] * 6 + [Role.VALIDATION] * 6 + [Role.TEST] * 6
    assert found.image_shape == (1, 5, 4)
    np.testing.assert_array_equal(found.labels[:6], LABELS)


@pytest.mark.parametrize(
    ("images", "labels"), [("images", "labels"), ("x", "y"), ("X", "target"), ("x_train", "y_train")]
)
def test_other_common_names_are_understood(tmp_path: Path, images, labels):
    found = load_data(save(tmp_path / "m.npz", **{images: COLOUR, labels: LABELS}))
    np.testing.assert_array_equal(found.images, COLOUR.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    "labels", [LABELS[:, None], np.eye(3)[LABELS], LABELS.astype(float), np.array(["a", "b", "c"])[LABELS]], ids=str
)
def test_every_spelling_of_the_same_labels_is_the_same(tmp_path: Path, labels):
    found = load_data(save(tmp_path / "m.npz", x=GREY, y=labels))
    np.testing.assert_array_equal(found.labels, LABELS)


@pytest.mark.parametrize(
    "images",
    [GREY / 255, GREY.astype(np.int64), GREY.astype(np.float32), GREY.astype(np.uint16) * 257],
    ids=lambda a: a.dtype,
)
def test_every_spelling_of_the_same_pixels_is_the_same(tmp_path: Path, images):
    found = load_data(save(tmp_path / "m.npz", x=images, y=LABELS))
    np.testing.assert_array_equal(found.images[:, 0], GREY)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"x": GREY, "y": LABELS[:4]}, "6 images and 4 labels"),
        ({"x": GREY, "y": np.array([[1, 1, 0]] * 6)}, "multi-label"),
        ({"x": GREY, "y": LABELS + 0.5}, "not whole numbers"),
        ({"x": GREY, "y": LABELS - 1}, "negative label"),
        ({"x": GREY, "y": np.array([0, 1, 3, 0, 1, 3])}, r"no image has label 2"),
        ({"x": GREY, "y": LABELS * 2**26}, r"has label \d+ and only 6 images"),
        ({"x": GREY, "y": LABELS * 2**40}, "label out of range"),
        ({"x": GREY, "y": LABELS * 1e300}, "label out of range"),
        ({"x": GREY[..., None, None], "y": LABELS}, "Volumes"),
        ({"x": GREY.reshape(6, -1), "y": LABELS}, "flattened"),
        ({"x": GREY - 300.0, "y": LABELS}, "pixels from"),
        ({"x": GREY * np.nan, "y": LABELS}, "pixels from nan"),
        ({"x": GREY}, "'x' has no counterpart"),
        ({"a": GREY, "b": LABELS}, "not recognised"),
        ({"x": GREY, "y": LABELS, "images": GREY}, "the same thing"),
        ({"x": GREY, "y": LABELS, "x_test": GREY, "y_test": LABELS}, "not recognised"),
    ],
)
def test_members_that_do_not_fit_are_refused_in_words(tmp_path: Path, members, says):
    with pytest.raises(DataError, match=says):
        load_data(save(tmp_path / "m.npz", **members))


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path):
    trace = tmp_path / "it ran"
    payload = np.empty(1, object)
    payload[0] = Malicious(trace)
    np.savez(tmp_path / "evil.npz", x=payload, y=payload)
    with pytest.raises(DataError, match="could run any code, so it is refused"):
        load_data(tmp_path / "evil.npz")
    with zipfile.ZipFile(tmp_path / "raw.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Malicious(trace)))
    with pytest.raises(DataError, match="not a NumPy array"):
        read_member(tmp_path / "raw.npz", "x")
    assert not trace.exists()


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + bytes(1 << 20)])
def test_a_member_longer_or_shorter_than_its_header_is_refused(tmp_path: Path, change):
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", change(npy(GREY)))
    with pytest.raises(DataError, match="should hold 120 bytes"):
        read_member(tmp_path / "m.npz", "x")


def test_a_promise_beyond_memory_is_refused(tmp_path: Path):
    header = npy(GREY)[:-120].replace(b"(6, 5, 4)", b"(2**60, )")
    assert b"2**60" in header
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("x.npy", header)
    with pytest.raises(DataError, match=r"not a NumPy array|promises"):
        read_member(tmp_path / "m.npz", "x")


def test_truncated_and_flipped_archives_are_refused(tmp_path: Path):
    content = save(tmp_path / "m.npz", x=GREY, y=LABELS).read_bytes()
    (tmp_path / "short.npz").write_bytes(content[:-30])
    with pytest.raises(DataError, match=r"not an \.npz archive"):
        load_data(tmp_path / "short.npz")
    flipped = bytearray(content)
    flipped[200] ^= 255
    (tmp_path / "flipped.npz").write_bytes(flipped)
    with pytest.raises(DataError, match="damaged"):
        load_data(tmp_path / "flipped.npz")


def test_size_and_grey_apply_to_arrays(tmp_path: Path):
    path = save(tmp_path / "m.npz", x=COLOUR, y=LABELS)
    assert load_data(path, size="8x6", grey=True).image_shape == (1, 8, 6)
    luma = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(load_data(path, grey=True).images[:, 0] - luma).max() <= 0.51
    assert load_data(save(tmp_path / "g.npz", x=GREY, y=LABELS), grey=False).image_shape == (3, 5, 4)


def test_options_without_use_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="group_pattern cannot be used"):
        load_data(save(tmp_path / "m.npz", x=GREY, y=LABELS), group_pattern="(a)")


def test_known_npz_name_prefers_the_published_file(tmp_path: Path, no_data):
    folder = tmp_path / "pneumoniamnist"
    folder.mkdir()
    members = {"x": GREY, "y": LABELS % 2}
    save(folder / "some_full_copy.npz", **members)
    found = load_data("pneumoniamnist", data_dir=tmp_path)
    assert "some_full_copy.npz, which is not the published file" in found.notes[-1]
    save(folder / "other.npz", **members)
    assert "some_full_copy" in load_data("pneumoniamnist", data_dir=tmp_path).notes[-1]
    save(folder / "another_full.npz", **members)
    with pytest.raises(DataError, match="Give the path"):
        load_data("pneumoniamnist", data_dir=tmp_path)
    save(folder / "pneumoniamnist.npz", **members)
    assert load_data("pneumoniamnist", data_dir=tmp_path).notes == ()


def test_multi_label_sets_are_refused_by_name(tmp_path: Path):
    with pytest.raises(DataError, match="multi-label"):
        load_data("chestmnist", data_dir=tmp_path)


def test_unknown_names_and_paths_suggest_the_nearest(tmp_path: Path, no_data):
    with pytest.raises(ConfigError, match="Did you mean 'fashion-mnist'"):
        load_data("fashion-mnits")
    save(tmp_path / "right.npz", x=GREY, y=LABELS)
    with pytest.raises(MissingDataError, match=r"Did you mean .*right\.npz"):
        load_data(tmp_path / "rigth.npz")
    with pytest.raises(DataError, match=r"5,000 characters.* cannot be read"):
        load_data("x" * 5000)
    with pytest.raises(MissingDataError, match="spikewise data download mnist"):
        load_data("mnist", data_dir=tmp_path)
    with pytest.raises(MissingDataError, match=r"Sign in at https://www.kaggle.com"):
        load_data("socofing", data_dir=tmp_path)


def test_the_embedded_digits_need_no_download(no_data):
    found = load_data("digits")
    assert (len(found), found.image_shape, found.images.max()) == (1797, (1, 8, 8), 255)
    assert found.fingerprint == load_data("digits").fingerprint != load_data("digits", size=9).fingerprint


def archive(path: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x.npy", content)
    return path


def npy_with(header: str | bytes, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + body


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "array",
    [GREY, GREY.astype(">u2"), np.asfortranarray(GREY), np.array(3.0), np.zeros((0, 5), np.int8), GREY > 3,
     np.array(["née", "a"]), np.array([b"ab", b"c"])],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_every_version_and_plain_type_comes_back(tmp_path: Path, array, version):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        found = read_member(archive(tmp_path / "m.npz", file.getvalue(), method), "x")
        np.testing.assert_array_equal(found, array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)


def test_headers_as_other_programs_write_them(tmp_path: Path):
    for header in (
        '{"shape":(2,3L), "fortran_order": False, "descr": "|u1"}',
        "{'descr': '<u1','shape': (2, 3),\n'fortran_order': False,  }   \n",
    ):
        found = read_member(archive(tmp_path / "m.npz", npy_with(header, bytes(range(6)))), "x")
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


PLAIN = "'fortran_order': False, 'shape': (6,), "


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + "}", "not a description"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-6,)}", "not a description"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 6)}", "not a description"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (6)}", "not a list of lengths"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': 6}", "not a description"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (2**3,)}", "not a description"),
        ("{'descr': '|u1', 'fortran_order': 0, 'shape': (6,)}", "not a description"),
        (f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'1, ' * 40})}}", "no array can have its shape"),
        (f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'9' * 5000},)}}", "no array can have its shape"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 999999999, 0)}", "no array can have"),
        (f"{{'descr': '|u1', {PLAIN}'shape': (6,)}}", "says shape twice"),
        (f"{{'descr': '|u1', {PLAIN}'more': 1}}", "not a description"),
        (f"{{'descr': [('a', '|u1')], {PLAIN}}}", "its type .* is none of"),
        (f"{{'descr': '<c16', {PLAIN}}}", "its type .* is none of"),
        (f"{{'descr': '|S0', {PLAIN}}}", "its type .* is none of"),
        (f"{{'descr': '<U999999999', {PLAIN}}}", "its type .* is none of"),
        (f"{{'descr': '<M8[ns]', {PLAIN}}}", "its type .* is none of"),
        (f"{{'descr': '|u1é', {PLAIN}}}", "other characters than ASCII"),
        (f"{{'descr': '|O', {PLAIN}}}", "could run any code"),
        ("__import__('os').getcwd()", "not a description"),
        ("", "not a description"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (6,)}" + " " * 20_000, "longer than 10,000"),
    ],
    ids=lambda text: text[:60],
)
def test_a_header_that_breaks_the_grammar_is_refused(tmp_path: Path, header, says):
    with pytest.raises(DataError, match=says) as caught:
        read_member(archive(tmp_path / "m.npz", npy_with(header, bytes(6))), "x")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "starts with nothing"),
        (b"\x93NUMPY\x01", "starts with 93"),
        (b"\x93NUMPY\x07\x00\x10\x00", "version 7.0"),
        (b"\x93NUMPY\x01\x00\xff", "ends within its header"),
        (b"\x93NUMPY\x01\x00\xff\x00{", "ends within its header"),
        (npy_with("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", b"\1\7"), "holds booleans"),
        (npy_with("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 4), "no characters"),
        (npy_with("{'descr': '>U1', 'fortran_order': False, 'shape': (1,)}", b"\0\0\xd8\0"), "no characters"),
    ],
    ids=str,
)
def test_members_that_are_no_arrays_are_refused(tmp_path: Path, content, says):
    with pytest.raises(DataError, match=says):
        read_member(archive(tmp_path / "m.npz", content), "x")


@pytest.mark.parametrize(
    ("at", "value"),
    [("central method", 99), ("central flag", 1), ("central version", 255), ("central offset", 0xFFFFFF00)],
)
def test_archives_that_lie_about_a_member_are_refused(tmp_path: Path, at, value):
    """Offsets in the central directory: version 6, flags 8, method 10, offset 42; flags and method stand twice."""
    path = archive(tmp_path / "m.npz", npy(GREY))
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\1\2")
    place, kind = {"version": (6, "<H"), "flag": (8, "<H"), "method": (10, "<H"), "offset": (42, "<I")}[at.split()[1]]
    struct.pack_into(kind, content, central + place, value)
    if place in (8, 10):
        struct.pack_into("<H", content, place - 2, value)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged|not an \.npz archive"):
        read_member(path, "x")


def test_two_members_of_one_name_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("x.npy", npy(GREY))
        file.writestr("x.npy", npy(GREY))
    with pytest.raises(DataError, match="two members called 'x'"):
        load_data(tmp_path / "m.npz")


def test_arrays_are_stretched_or_kept_in_proportion(tmp_path: Path):
    flat = np.full((10, 4, 8), 250, np.uint8)
    path = save(tmp_path / "m.npz", x=flat, y=np.arange(10) % 2)
    assert load_data(path, size=8).images.min() == 250
    kept = load_data(path, size=8, aspect="keep")
    assert (kept.images[:, :, 2:6] == 250).all()
    assert not kept.images[:, :, [0, 1, 6, 7]].any()
    assert load_data(path, size="none").fingerprint == load_data(path).fingerprint


def parts_of_two_sizes(path: Path) -> Path:
    tall, wide = RNG.integers(1, 256, (6, 8, 4), np.uint8), RNG.integers(1, 256, (3, 5, 20, 3), np.uint8)
    return save(path, train_images=tall, train_labels=LABELS, test_images=wide[..., 0], test_labels=LABELS[:3])


def test_parts_of_several_sizes_come_to_that_of_the_training_images_in_proportion(tmp_path: Path):
    found = load_data(parts_of_two_sizes(tmp_path / "m.npz"))
    assert (found.image_shape, found.aspect) == ((1, 8, 8), "keep")
    whole = np.load(tmp_path / "m.npz")["train_images"]
    np.testing.assert_array_equal(found.images[:6, 0, :, 2:6], whole)
    assert not found.images[:6, 0, :, [0, 1, 6, 7]].any()
    assert not found.images[6:, 0, [0, 1, 2, 5, 6, 7]].any(), "20 to 5 is 8 to 2"
    assert found.images[6:, 0, 3:5].all()
    assert found.cautions == (
        "Images of 2 sizes (height x width: 8x4, 5x20) are brought to 8x8, in proportion, the rest black. Another "
        "size: data.size=N or HEIGHTxWIDTH.",
    )


def test_parts_of_several_sizes_are_refused_or_brought_to_another_as_asked(tmp_path: Path):
    path = parts_of_two_sizes(tmp_path / "m.npz")
    with pytest.raises(DataError, match=r"m\.npz mixes images of 2 sizes .*data.size=none keeps .*--set data.size=64"):
        load_data(path, size="none")
    assert load_data(path, size=6).image_shape == (1, 6, 6)
    assert load_data(path, size=6).cautions == ()


def test_parts_in_grey_and_colour_are_asked_about(tmp_path: Path):
    members = {"train_images": GREY, "train_labels": LABELS, "test_images": COLOUR, "test_labels": LABELS}
    path = save(tmp_path / "m.npz", **members)
    with pytest.raises(DataError, match=r"mixes grey and colour images.*data\.grey=true"):
        load_data(path)
    assert load_data(path, grey=True).image_shape == (1, 5, 4)
