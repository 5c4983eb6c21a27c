"""The two-dimensional sets of MedMNIST, version 3.0 (28 x 28 pixels).

Source: the table INFO in `medmnist/info.py`, release 3.0.2 of the publisher's package, and Zenodo record 10519652.
"""

from typing import NamedTuple

__all__ = ["FACTS", "MedFacts"]


class MedFacts(NamedTuple):
    """Facts about one set."""

    title: str
    channels: int
    counts: tuple[int, int, int]
    """Images in train, validation, test."""
    md5: str
    classes: tuple[str, ...]
    licence: str = "CC BY 4.0"
    multi_label: bool = False
    positive: str | None = None
    """Of two classes the one that is to be found; its label is not always 1."""


_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)

FACTS: dict[str, MedFacts] = {
    "pathmnist": MedFacts(
        "PathMNIST",
        3,
        (89996, 10004, 7180),
        "a8b06965200029087d5bd730944a56c1",
        (
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ),
    ),
    "chestmnist": MedFacts(
        "ChestMNIST",
        1,
        (78468, 11219, 22433),
        "02c8a6516a18b556561a56cbdd36c4a8",
        (
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        ),
        multi_label=True,
    ),
    "dermamnist": MedFacts(
        "DermaMNIST",
        3,
        (7007, 1003, 2005),
        "0744692d530f8e62ec473284d019b0c7",
        (
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ),
        licence="CC BY-NC 4.0",
    ),
    "octmnist": MedFacts(
        "OCTMNIST",
        1,
        (97477, 10832, 1000),
        "c68d92d5b585d8d81f7112f81e2d0842",
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": MedFacts(
        "PneumoniaMNIST",
        1,
        (4708, 524, 624),
        "28209eda62fecd6e6a2d98b1501bb15f",
        ("normal", "pneumonia"),
        positive="pneumonia",
    ),
    "retinamnist": MedFacts(
        "RetinaMNIST",
        3,
        (1080, 120, 400),
        "bd4c0672f1bba3e3a89f0e4e876791e4",
        ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4"),
    ),
    "breastmnist": MedFacts(
        "BreastMNIST",
        1,
        (546, 78, 156),
        "750601b1f35ba3300ea97c75c52ff8f6",
        ("malignant", "normal, benign"),
        positive="malignant",
    ),
    "bloodmnist": MedFacts(
        "BloodMNIST",
        3,
        (11959, 1712, 3421),
        "7053d0359d879ad8a5505303e11de1dc",
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ),
    ),
    "tissuemnist": MedFacts(
        "TissueMNIST",
        1,
        (165466, 23640, 47280),
        "ebe78ee8b05294063de985d821c1c34b",
        (
            "collecting duct, connecting tubule",
            "distal convoluted tubule",
            "glomerular endothelial cells",
            "interstitial endothelial cells",
            "leukocytes",
            "podocytes",
            "proximal tubule segments",
            "thick ascending limb",
        ),
    ),
    "organamnist": MedFacts("OrganAMNIST", 1, (34561, 6491, 17778), "68e3f8846a6bd62f0c9bf841c0d9eacc", _ORGANS),
    "organcmnist": MedFacts("OrganCMNIST", 1, (12975, 2392, 8216), "b9ceb9546e10131b32923c5bbeaea2b1", _ORGANS),
    "organsmnist": MedFacts("OrganSMNIST", 1, (13932, 2452, 8827), "9ab87b696fb54e2a387ebe992d6ed5f1", _ORGANS),
}
