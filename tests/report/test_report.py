"""The report says what the results say, loads nothing, and survives every kind of run."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from fake import ROLES, artifacts, made, results

from spikewise.errors import RunError
from spikewise.evaluation import Straddling
from spikewise.report import Linked, render, render_many, write_report
from spikewise.report.samples import samples

SECTIONS = ["verdict", "comparison", "tests", "learning", "confusion", "disagreements", "images", "encoding"]
SECTIONS += ["rates", "neurons", "cost", "data", "glossary"]
VOID = {"meta", "img", "source", "input", "br", "link", "hr"}
EVIL = "</title><script>alert(1)</script> \"'&$x_1$ \u0001\n漢字 ö --> <!--"


class Page(HTMLParser):
    """Tags, texts and attributes; refuses tags that close in the wrong order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts, self.ids = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def whole():
    return render(made(), artifacts(), command="spikewise compare digits")


@pytest.fixture(scope="module")
def small():
    """A quick page: little to draw."""

    def make(*, shown=None, **kind):
        return render(
            results(**{"classes": ("cat", "dog"), "seeds": (0, 1), "epochs": 3, "networks": ROLES[:2], **kind}), shown
        )

    return make


def test_every_section_stands_in_order_and_is_in_the_contents(whole):
    page = Page(whole)
    assert [a["id"] for a in page.all("section")] == SECTIONS
    links = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert [f"#{name}" for name in SECTIONS] == links[1:]
    assert len(page.ids) == len(set(page.ids))
    assert "spikewise compare digits" in page.text


def test_nothing_is_loaded_from_anywhere(whole):
    page = Page(whole)
    assert page.all("link") == []
    assert [a for a in page.all("script") if "src" in a] == []
    for tag, attrs in page.tags:
        for name in ("src", "srcset", "href", "poster", "data", "xlink:href"):
            value = attrs.get(name, "#")
            assert value.startswith(("#", "data:image/")), (tag, name, value)
    outside = re.sub(r"data:image/\w+;base64,[^\"]*", "", whole)
    assert re.findall(r"url\((?!#)", outside) == []
    assert "@import" not in outside
    assert len(whole) < 3_000_000


def test_a_reader_who_cannot_see_is_told(whole):
    page = Page(whole)
    assert page.all("html")[0]["lang"] == "en"
    assert [a for a in page.all("img") if "alt" not in a] == []
    assert [a for a in page.all("svg") if not a.get("aria-label")] == []
    assert [a for a in page.all("th") if a.get("scope") not in ("row", "col")] == []
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_figures_are_those_of_the_results(whole):
    run, text = made(), Page(whole).text
    for network in run.networks:
        accuracy = network.metrics["accuracy"]
        assert f"{100 * accuracy.mean:.2f} %" in text
        assert f"{100 * accuracy.low:.2f} to {100 * accuracy.high:.2f}" in text
        auc = network.metrics["auc"]
        assert f"{auc.low:.4f} to {auc.high:.4f}" in text
        assert f"{network.cost.macs:,.0f}" in text
    for pair in run.comparisons:
        low, high = (f"{100 * x:+.2f}".replace("-", "\u2212") for x in (pair.difference.low, pair.difference.high))
        assert f"{low} to {high}" in text
    assert run.verdict.headline in text
    for sentence in run.verdict.sentences:
        assert sentence in text


def test_moving_pictures_have_a_still_one_for_those_who_want_it(whole):
    pictures = re.findall(r"<picture>.*?</picture>", whole, re.S)
    assert len(pictures) == 9  # encoded, mean and counts of three images
    for picture in pictures:
        assert "prefers-reduced-motion: reduce" in picture
        assert "data:image/png" in picture


def test_names_are_text_never_markup():
    classes = (EVIL, "<img src=x onerror=alert(2)>", "x" * 300)
    data = {"name": EVIL, "source": "javascript:alert(3)", "notes": (EVIL,), "image_shape": (3, 8, 8)}
    html = render(
        results(classes, seeds=(0, 1), epochs=2, data=data, networks=ROLES[:2]),
        artifacts(classes, channels=3, size=8, steps=6),
    )
    page = Page(html)
    assert len(page.all("script")) == 1
    assert [a for _, a in page.tags if any(name.startswith("on") for name in a)] == []
    assert [a for a in page.all("a") if not a["href"].startswith("#")] == []
    assert "<script>alert(1)</script>" in page.text
    assert "漢字" in page.text


def test_a_set_that_must_not_be_shown_is_not_shown(small):
    classes = ("cat", "dog")
    html = small(shown=artifacts(classes, size=8, steps=5), data={"publishable": False})
    page = Page(html)
    images = [a for a in page.all("img") if "plain" not in a.get("class", "")]
    assert images == []
    assert "do not allow" in page.text or "does not allow" in page.text
    assert "encoded image" not in page.text
    assert "layer lif1" in page.text


def test_a_run_without_artifacts_has_a_report(small):
    html = small()
    page = Page(html)
    assert [a["id"] for a in page.all("section")] == SECTIONS
    assert "No traces were stored" in page.text
    assert page.all("img") == []


def test_forty_seven_classes():
    classes = tuple(f"character {k}" for k in range(47))
    html = render(results(classes, test=4, epochs=2, networks=ROLES[:2], seeds=(0, 1)), artifacts(classes, steps=8))
    assert [a["id"] for a in Page(html).all("section")] == SECTIONS
    assert len(html) < 3_000_000


def test_the_spikes_that_reach_the_output_are_those_of_the_last_hidden_layer():
    shown = artifacts(("cat", "dog"), size=8, steps=5).traces
    alone = dataclasses.replace(shown, layers={"lif2": shown.layers["lif2"]})
    drawn = [samples(traces, ("cat", "dog"))[0].membrane.svg for traces in (shown, alone)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("spiking_output", [True, False])
def test_a_network_of_one_time_step_has_no_course_over_time(small, spiking_output):
    shown = artifacts(("cat", "dog"), size=8, steps=1, spiking_output=spiking_output)
    html = small(shown=shown, steps=1)
    assert "one time step" in Page(html).text
    assert "<picture>" not in html


def test_one_network_alone_says_so(small):
    html = small(networks=ROLES[:1])
    assert "nothing to compare" in Page(html).text


RULE = {"subjects_rule": "the number after 'person' in file names"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"data": {"straddling": Straddling(duplicates=3)}}, "3 groups of identical images lie in more than one part"),
        ({"data": {"straddling": Straddling(subjects=1)}}, "1 subject occurs in more than one part"),
        ({"protocol": {"test_opened": 99}}, "The test set was opened more than once a run"),
        ({"seeds": (0,)}, "One seed"),
        ({}, "31 of 512 neurons never spike (snn, seed 0)"),
        ({"data": {"subjects": 600}}, "Subjects were not kept apart"),
        (
            {"data": {"straddling": Straddling(subjects=2), "subjects": 600, "subjects_trust": "likely", **RULE}},
            "2 subjects occur in more than one part; which can flatter every accuracy. The subjects were read by the "
            "number after 'person' in file names.",
        ),
        (
            {"data": {"straddling": Straddling(subjects=2), "subjects": 600, "subjects_trust": "doubtful", **RULE}},
            "2 subjects occur in more than one part; which can flatter every accuracy if they are subjects. These "
            "subjects are doubtful: they were read by the number after 'person' in file names, and may be none.",
        ),
    ],
)
def test_reservations_stand_before_the_first_table(small, kind, words):
    html = small(**kind)
    assert words in Page(html[: html.index('<section id="comparison"')] + "</main></div></body></html>").text


def test_a_clean_run_has_no_notice(small):
    assert 'class="notice' not in small(seeds=(1, 2))


def test_a_run_folder_gets_its_report(tmp_path):
    made(classes=("cat", "dog"), epochs=2).save(tmp_path / "results.json")
    artifacts(("cat", "dog"), size=8, steps=5).save(tmp_path / "artifacts.npz")
    (tmp_path / "experiment.toml").write_text("")
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    text = Page(path.read_text(encoding="utf-8")).text
    assert f"spikewise compare --config {tmp_path.name}/experiment.toml" in text
    assert str(tmp_path) not in text
    (tmp_path / "artifacts.npz").write_bytes(b"PK")
    with pytest.raises(RunError):
        write_report(tmp_path)


def test_several_runs_in_one_table_the_most_accurate_first(small):
    made = results(classes=("cat", "dog"), epochs=2)
    html = render_many(
        [Linked(made, EVIL, "runs/a b/report.html"), Linked(made, "second", "javascript:alert(1)"), made]
    )
    page = Page(html)
    assert {a["href"] for a in page.all("a")} == {"runs/a%20b/report.html", "javascript%3Aalert%281%29"}
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    shown = [float(x) for x in re.findall(r"<td>(\d+\.\d+) %<small>", body)][::3]
    assert len(shown) == 9
    assert shown == sorted(shown, reverse=True)
