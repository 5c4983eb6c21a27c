"""What is known of each image set that can be asked for by name: facts as data, no code."""

from dataclasses import dataclass

from spikewise.data.medmnist import FACTS as MEDMNIST
from spikewise.data.medmnist import MedFacts

__all__ = ["CATALOG", "EMNIST_VARIANTS", "Archive", "KnownFile", "KnownSet"]


@dataclass(frozen=True)
class KnownFile:
    """One file of a set, as its publisher serves it."""

    name: str
    urls: tuple[str, ...]
    """Mirrors, tried in this order."""
    md5: str | None
    """Of the file as served; None: never published, so it cannot be verified."""
    content_sha256: str | None = None
    """Of the unpacked bytes: the same images in another gzip wrapping are still the same images."""
    bytes: int | None = None


@dataclass(frozen=True)
class Archive(KnownFile):
    """A zip file of which some members are needed."""

    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownSet:
    """Facts about one image set."""

    name: str
    title: str
    kind: str
    """How it is stored: `embedded`, `idx`, `emnist`, `npz`, `folder` or `fingerprints`."""
    shape: str
    """Channels x height x width as published."""
    counts: tuple[int, ...]
    """Images in train, validation, test; a single number where there is no published split."""
    classes: tuple[str, ...]
    licence: str
    citation: str
    files: tuple[KnownFile, ...] = ()
    folders: tuple[str, ...] = ()
    """Where it may lie below a data folder, in the order of the search."""
    manual: str | None = None
    """Steps for a person, where an account is needed."""
    notes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    """Default size in pixels where the files have several."""
    multi_label: bool = False
    positive: str | None = None
    """Of two classes the one that is to be found."""
    publishable: bool = True


_DIGITS = tuple("0123456789")
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION_MIRRORS = (
    "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_EMNIST_CITATION = (
    "G. Cohen, S. Afshar, J. Tapson, A. van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017"
)
_MERGED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")

EMNIST_VARIANTS: dict[str, tuple[tuple[int, int], tuple[str, ...], int]] = {
    "digits": ((240_000, 40_000), _DIGITS, 0),
    "letters": ((124_800, 20_800), tuple("abcdefghijklmnopqrstuvwxyz"), 1),
    "balanced": ((112_800, 18_800), _MERGED, 0),
    "bymerge": ((697_932, 116_323), _MERGED, 0),
    "byclass": ((697_932, 116_323), tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 0),
    "mnist": ((60_000, 10_000), _DIGITS, 0),
}
"""Per variant: images in train and test, classes, and the number of its first label."""


def _idx(mirrors: tuple[str, ...], sums: tuple[tuple[str, str, int], ...]) -> tuple[KnownFile, ...]:
    return tuple(
        KnownFile(name, tuple(mirror + name for mirror in mirrors), md5, sha256, size)
        for name, (md5, sha256, size) in zip(_IDX_FILES, sums, strict=True)
    )


def _emnist(variant: str) -> KnownSet:
    counts, classes, _ = EMNIST_VARIANTS[variant]
    members = tuple(f"gzip/emnist-{variant}-{name.replace('t10k', 'test')}" for name in _IDX_FILES)
    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    return KnownSet(
        name=f"emnist-{variant}",
        title=f"EMNIST {variant}",
        kind="emnist",
        shape="1x28x28",
        counts=(counts[0], 0, counts[1]),
        classes=classes,
        licence="public domain (NIST)",
        citation=_EMNIST_CITATION,
        files=(Archive("emnist-gzip.zip", (url,), "58c8d27c78d21e728a6bc7b3cc06412e", members=members),),
        folders=("emnist", "EMNIST/raw", "emnist/gzip", "EMNIST", "."),
    )


def _med(name: str, facts: MedFacts) -> KnownSet:
    return KnownSet(
        name=name,
        title=facts.title,
        kind="npz",
        shape=f"{facts.channels}x28x28",
        counts=facts.counts,
        classes=facts.classes,
        licence=facts.licence,
        citation="J. Yang et al., MedMNIST v2, Scientific Data 10, 41 (2023), doi 10.1038/s41597-022-01721-8",
        files=(
            KnownFile(f"{name}.npz", (f"https://zenodo.org/records/10519652/files/{name}.npz?download=1",), facts.md5),
        ),
        folders=(name, "medmnist", "."),
        multi_label=facts.multi_label,
        positive=facts.positive,
    )


_SETS = (
    KnownSet(
        name="digits",
        title="UCI optical digits (test part), embedded in scikit-learn",
        kind="embedded",
        shape="1x8x8",
        counts=(1797,),
        classes=_DIGITS,
        licence="CC BY 4.0",
        citation="E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI 1998, doi 10.24432/C50P49",
        notes=("Stored as 0..16; scaled to 0..255.",),
    ),
    KnownSet(
        name="mnist",
        title="MNIST",
        kind="idx",
        shape="1x28x28",
        counts=(60_000, 0, 10_000),
        classes=_DIGITS,
        licence="CC BY-SA 3.0 (commonly given)",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86 (1998), doi 10.1109/5.726791",
        files=_idx(
            _MNIST_MIRRORS,
            (
                (
                    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    9_912_422,
                ),
                (
                    "d53e105ee54ea40749a09fcbcd1e9432",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    28_881,
                ),
                (
                    "9fb629c4189551a2d022fa330f9573f3",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    1_648_877,
                ),
                (
                    "ec29112dd5afa0611ce80d1b7f02629c",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                    4_542,
                ),
            ),
        ),
        folders=("mnist", "MNIST/raw", "MNIST"),
    ),
    KnownSet(
        name="fashion-mnist",
        title="Fashion-MNIST",
        kind="idx",
        shape="1x28x28",
        counts=(60_000, 0, 10_000),
        classes=(
            "t-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        licence="MIT",
        citation="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv 1708.07747 (2017)",
        files=_idx(
            _FASHION_MIRRORS,
            (
                (
                    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    26_421_880,
                ),
                (
                    "25c81989df183df01b3e8a0aad5dffbe",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    29_515,
                ),
                (
                    "bef4ecab320f06d8554ea6380940ec79",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    4_422_102,
                ),
                (
                    "bb300cfdad3c16e7a12a480ee83cd310",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                    5_148,
                ),
            ),
        ),
        folders=("fashion-mnist", "FashionMNIST/raw", "dataset-fashion-mnist"),
    ),
    *(_emnist(variant) for variant in EMNIST_VARIANTS),
    *(_med(name, facts) for name, facts in MEDMNIST.items()),
    KnownSet(
        name="chest-xray",
        title="Chest X-ray images (pneumonia)",
        kind="folder",
        shape="any size, grey or colour",
        counts=(5216, 16, 624),
        classes=("NORMAL", "PNEUMONIA"),
        licence="CC BY 4.0",
        citation="D. S. Kermany et al., Cell 172, 1122-1131 (2018), doi 10.1016/j.cell.2018.02.010",
        folders=("chest_xray", "chest-xray", "chest_xray/chest_xray"),
        manual=(
            "1. Sign in at https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia and press Download.\n"
            "2. Unpack the archive; it holds a folder chest_xray with train, val and test.\n"
            "3. Move that folder to {data_dir}/chest_xray"
        ),
        notes=(
            "Patients are read from file names: the number after 'person', and after 'IM-' for normals. By that "
            "reading some patients stand in both the published train and test parts; within one kind of name "
            "(bacteria, virus, IM, NORMAL2-IM) no number does, so the numbers may belong to different people.",
        ),
        size=(224, 224),
        positive="PNEUMONIA",
    ),
    KnownSet(
        name="socofing",
        title="Sokoto Coventry Fingerprint Dataset",
        kind="fingerprints",
        shape="any channels, 103x96 and 298x241",
        counts=(6000,),
        classes=(),
        licence="free for non-commercial research; biometric data of real people",
        citation="Y. I. Shehu, A. Ruiz-Garcia, V. Palade, A. James, arXiv 1807.10609 (2018)",
        folders=("socofing", "SOCOFing"),
        manual=(
            "1. Sign in at https://www.kaggle.com/datasets/ruizgara/socofing and press Download.\n"
            "2. Unpack the archive; it holds a folder SOCOFing with Real and Altered.\n"
            "3. Move that folder to {data_dir}/socofing/SOCOFing"
        ),
        notes=(
            "Converted to grey first: bit depth alone tells real prints from altered ones.",
            "Biometric data of real people, free for non-commercial research: its images are never shown or exported.",
        ),
        size=(97, 97),
        publishable=False,
    ),
)

CATALOG: dict[str, KnownSet] = {known.name: known for known in _SETS}
"""Every set that can be asked for by name."""
