"""Which of two classes is the positive one."""

import pytest

from spikewise.data.catalog import CATALOG
from spikewise.data.positive import positive_class
from spikewise.errors import ConfigError


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("abnormal", "normal"), "abnormal"),
        (("normal", "abnormal"), "abnormal"),
        (("malignant", "normal, benign"), "malignant"),
        (("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
        (("Parasitized", "Uninfected"), "Parasitized"),
        (("COVID", "non-COVID"), "COVID"),
        (("no_tumor", "yes_tumor"), "yes_tumor"),
        (("glioma", "no tumour"), "glioma"),
        (("with_mask", "without_mask"), "with_mask"),
        (("not_normal", "normal"), "not_normal"),
        (("defective", "ok"), "defective"),
        (("False", "True"), "True"),
        (("sick", "well"), "sick"),
        (("cat", "dog"), "dog"),
        (("0", "1"), "1"),
        (("benign", "normal"), "normal"),
    ],
)
def test_names_say_which_class_is_positive_else_it_is_the_second(classes, positive):
    assert classes[positive_class(classes).label] == positive


def test_what_is_asked_for_wins_and_what_is_published_comes_before_the_names():
    assert positive_class(("abnormal", "normal"), "normal") == (1, "as data.positive says")
    assert positive_class(("abnormal", "normal"), None, "normal").label == 1
    assert positive_class(("a", "b"), None, "none of these").label == 1


def test_a_class_that_is_not_there_or_one_of_many_is_refused_in_words():
    with pytest.raises(ConfigError, match=r"Unknown class for data.positive 'abnormall'. Did you mean 'abnormal'"):
        positive_class(("abnormal", "normal"), "abnormall")
    with pytest.raises(ConfigError, match="no meaning with 3 classes"):
        positive_class(("a", "b", "c"), "a")


def test_every_known_set_of_two_classes_says_which_is_positive():
    pairs = {name: known for name, known in CATALOG.items() if len(known.classes) == 2 and not known.multi_label}
    assert {name: known.positive for name, known in pairs.items()} == {
        "pneumoniamnist": "pneumonia",
        "breastmnist": "malignant",
        "chest-xray": "PNEUMONIA",
    }
    assert all(known.positive in known.classes for known in pairs.values())
