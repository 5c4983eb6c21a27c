"""The report says what the results say, loads nothing, and survives every kind of run."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from fake import ROLES, artifacts, made, results

from spikewise import viz
from spikewise.errors import RunError
from spikewise.evaluation import Estimate, Overlap
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.units import energy_unit, latency_unit
from spikewise.evaluation.verdict import ACCURACIES
from spikewise.report import Linked, Report, render, render_many, write_report
from spikewise.report.front import next_steps
from spikewise.report.glossary import GLOSSARY
from spikewise.report.numbers import duration, points
from spikewise.report.samples import samples
from spikewise.report.tables import metric_table
from spikewise.report.terms import explained

SECTIONS = ["verdict", "grounds", "tests", "comparison", "cost", "learning", "confusion", "disagreements", "images"]
SECTIONS += ["encoding", "rates", "neurons", "data", "paper", "glossary"]
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


def first_screen(html):
    """The page up to what is folded."""
    body = html[html.index('<section id="verdict"') : html.index('<section id="grounds"')]
    return Page(f"<main>{body}</main>")


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
    links = [a["href"] for a in Page(whole[whole.index("<nav") : whole.index("</nav>") + 6]).all("a")]
    assert [f"#{name}" for name in SECTIONS] == links
    assert {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "spikewise compare digits" in page.text


def test_the_first_screen_has_the_answer_one_picture_one_table_and_what_to_do(whole):
    page, run = first_screen(whole), made()
    assert Page(whole[: whole.index("<style>")] + "</head></html>").text == run.verdict.headline  # the title
    assert run.verdict.headline in page.text
    assert [len(page.all(tag)) for tag in ("h1", "svg", "table", "details")] == [1, 1, 1, 0]
    for words in ("Spiking network snn", "Same network without spikes twin", "Small CNN cnn"):
        assert words in page.text
    seconds = latency_unit([network.cost.latency_ms for network in run.networks])
    for network in run.networks:
        accuracy = network.metrics["accuracy"]
        assert f"{100 * accuracy.mean:.2f} %" in page.text
        assert f"{100 * accuracy.low:.2f} to {100 * accuracy.high:.2f}" in page.text
        assert seconds.text(network.cost.latency_ms) in page.text
        spent = sum(one.train_seconds for one in network.runs) / len(network.runs)
        assert duration(spent, aligned=True) in page.text
    unit = energy_unit([network.cost.energy_nanojoule["arithmetic"] for network in run.networks])
    assert all(unit.text(network.cost.energy_nanojoule["arithmetic"]) in page.text for network in run.networks)
    best = max(run.networks, key=lambda network: network.metrics["accuracy"].mean).name
    assert f"spikewise predict RUN IMAGE... --network {best}" in page.text
    assert "#paper" in [a["href"] for a in page.all("a")]


def test_everything_else_is_folded_under_what_was_found(whole):
    for name in SECTIONS[1:]:
        part = whole[whole.index(f'<section id="{name}"') :]
        opening = re.match(
            r'<section id="\w+" class="part">\s*<details>\s*<summary><h2>[^<]+</h2>(.*?)</summary>', part, re.S
        )
        assert opening, name
        assert re.fullmatch(r'<p class="finding">[^<]+</p>', opening[1]), (name, opening[1])
    text = Page(whole).text
    pair = made().comparisons[0]
    assert f"The spiking network against the same network without spikes: {points(pair.difference.mean)} points" in text
    assert "No leak" in text or "no leak between the parts was found" in text


def test_all_that_is_folded_is_printed(whole):
    paper = whole[whole.index("@media print") :]
    assert "details::details-content { content-visibility: visible" in paper
    assert 'addEventListener("beforeprint"' in whole


def test_terms_lead_to_their_meaning(whole):
    page = Page(whole)
    terms = [a for a in page.all("a") if a.get("class") == "term"]
    assert len(terms) > 10
    meanings = [attrs["id"] for attrs in page.all("dd") if "id" in attrs]
    assert len(meanings) == len(GLOSSARY)
    for link in terms:
        assert link["href"] == f"#{link['aria-describedby']}"
        assert link["aria-describedby"] in meanings


def test_a_term_is_explained_once_and_only_as_a_word():
    text = str(explained("Accuracy <b> of seeds; accuracy. Seedless ECE, Mac and MACs"))
    assert re.findall(r">([^<]+)</a>", text) == ["Accuracy", "seeds", "ECE", "MACs"]
    assert "&lt;b&gt;" in text


def test_figures_that_say_what_accuracy_says_are_left_out_with_a_word(whole):
    run = made()
    same = [network.metrics["balanced_accuracy"].mean - network.metrics["accuracy"].mean for network in run.networks]
    assert max(map(abs, same)) < 1e-9  # classes of one size
    table = metric_table(run)
    assert "Balanced accuracy" not in [row.label for row in table.rows]
    assert "balanced accuracy" in table.alike
    assert table.alike in Page(whole).text


def test_a_figure_that_says_something_else_stays():
    run = made()
    first = run.networks[0]
    lower = first.metrics["balanced_accuracy"].model_copy(update={"mean": first.metrics["accuracy"].mean - 0.02})
    changed = first.model_copy(update={"metrics": {**first.metrics, "balanced_accuracy": lower}})
    table = metric_table(run.model_copy(update={"networks": (changed, *run.networks[1:])}))
    assert "Balanced accuracy" in [row.label for row in table.rows]
    strips = {row.label: row.cells[0].strip for row in table.rows}
    difference = strips["Accuracy"].mean - strips["Balanced accuracy"].mean
    scale = strips["Accuracy"].high - strips["Accuracy"].low
    accuracy = first.metrics["accuracy"]
    assert difference / scale == pytest.approx(0.02 / (accuracy.high - accuracy.low), rel=1e-2)  # one scale


def test_nothing_is_loaded_from_anywhere(whole):
    page = Page(whole)
    assert page.all("link") == []
    assert [a for a in page.all("script") if "src" in a] == []
    for tag, attrs in page.tags:
        for name in ("src", "srcset", "href", "poster", "data", "xlink:href"):
            value = attrs.get(name, "#")
            assert value.startswith(("#", "data:image/", "data:text/plain;")), (tag, name, value)
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
    run, text = made(), Page(re.sub(r'<a class="term"[^>]*>([^<]*)</a>', r"\1", whole)).text
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
        assert sentence in text or sentence.startswith(ACCURACIES)  # whose figures stand in the table


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
    assert [a for a in page.all("a") if not a["href"].startswith(("#", "data:text/plain;"))] == []
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
    alone = dataclasses.replace(shown, layers={"lif2": shown.layers["lif2"]}, neurons=())
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
        ({"data": {"overlap": Overlap(duplicates=3)}}, "3 groups of identical images are in more than one part"),
        ({"data": {"overlap": Overlap(subjects=1)}}, "1 subject is in more than one part"),
        ({"protocol": {"test_opened": 99}}, "The test set was opened more than once a run"),
        ({"seeds": (0,)}, "One seed"),
        ({}, "31 of 512 neurons never spike (snn, seed 0)"),
        ({"data": {"subjects": 600}}, "Subjects were not kept apart"),
        (
            {"data": {"overlap": Overlap(subjects=2), "subjects": 600, "subjects_trust": "likely", **RULE}},
            "2 subjects are in more than one part of the split, which can flatter every accuracy. The subjects were "
            "read by the number after 'person' in file names.",
        ),
        (
            {"data": {"overlap": Overlap(subjects=2), "subjects": 600, "subjects_trust": "doubtful", **RULE}},
            "2 subjects are in more than one part of the split, which can flatter every accuracy if they are "
            "subjects. These subjects are doubtful: they were read by the number after 'person' in file names, and may "
            "be none.",
        ),
    ],
)
def test_reservations_stand_before_the_first_figures_that_they_are_about(small, kind, words):
    html = small(**kind)
    assert words in Page(html[: html.index('<section id="tests"')] + "</main></div></body></html>").text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"data": {"overlap": Overlap(duplicates=3)}}, "3 groups of identical images are in more than one part"),
        ({"seeds": (0,)}, "With reservations : few test images; one seed"),
    ],
)
def test_what_makes_figures_doubtful_stands_on_the_first_screen(small, kind, words):
    assert words in first_screen(small(**kind)).text


def test_a_clean_run_has_no_notice(small):
    assert 'class="notice' not in small(seeds=(1, 2), test=120)


def test_a_reservation_is_said_once(small):
    said = Page(small(seeds=(0,), protocol={"opened_elsewhere": 3, "quick": True})).text
    for words in ("There is one seed", "The test set is small", "This is a first look", "were opened 3 times in other"):
        assert said.count(words) == 1, words


def test_a_first_look_is_followed_by_the_whole_run_and_a_leak_by_a_split_without():
    looked = made(classes=("cat", "dog"), seeds=(0,), epochs=3)
    quick = looked.protocol.model_copy(update={"quick": True, "whole": "spikewise compare photos --skip-bad"})
    leaky = looked.data.model_copy(update={"overlap": Overlap(near_duplicates=2)})
    looked_again = looked.model_copy(update={"protocol": quick, "data": leaky})
    found = next_steps(looked_again, "spikewise again", "RUN", "my photos")
    assert [one.command for one in found[:2]] == [
        "spikewise audit 'my photos' --fix clean.json",
        "spikewise compare photos --skip-bad",
    ]
    assert next_steps(looked, "spikewise again", "RUN")[0].command == "spikewise again --seeds 3"


def test_more_seeds_are_advised_for_a_pair_that_is_named():
    found = made(classes=("cat", "dog"))
    pairs = [one.model_copy(update={"main": True, "seeds_to_tell": 9}) for one in found.comparisons[:1]]
    steps = next_steps(found.model_copy(update={"comparisons": pairs}), "spikewise again", "RUN")
    (said,) = [step.what for step in steps if step.command == "spikewise again --seeds 9"]
    assert "between the spiking network and the same network without spikes" in said


@pytest.mark.parametrize(
    ("lead", "words"), [(0.1, "the most accurate network"), (0.0, "one of the most accurate networks")]
)
def test_networks_that_are_level_are_not_called_the_most_accurate(lead, words):
    one, *others = made(classes=("cat", "dog")).networks
    level = [
        other.model_copy(update={"metrics": {**other.metrics, "accuracy": Estimate(mean=0.8, method="t")}})
        for other in others
    ]
    first = one.model_copy(update={"metrics": {**one.metrics, "accuracy": Estimate(mean=0.8 + lead, method="t")}})
    found = next_steps(made(classes=("cat", "dog")).model_copy(update={"networks": (first, *level)}), None, "RUN")
    assert f"Classify images with {words}, the spiking network" in [step.what for step in found]


def test_a_run_folder_gets_its_report(tmp_path):
    results(classes=("cat", "dog"), epochs=2, steps=5, data={"image_shape": (1, 8, 8)}).save(tmp_path / "results.json")
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


def test_a_report_written_again_is_the_same_page_and_draws_only_what_changed(tmp_path, monkeypatch):
    run = results(classes=("cat", "dog"), epochs=2, steps=5, data={"image_shape": (1, 8, 8)})
    run.save(tmp_path / "results.json")
    artifacts(("cat", "dog"), size=8, steps=5).save(tmp_path / "artifacts.npz")
    drawn, raster = [], viz.raster
    monkeypatch.setattr(viz, "raster", lambda *given, **how: drawn.append(1) or raster(*given, **how))
    report = Report(tmp_path)
    report.write()
    first = len(drawn)
    skipped = Sections(skipped={"robustness": "no time"})
    run.model_copy(update={"sections": skipped}).save(tmp_path / "results.json")
    page = report.write().read_text(encoding="utf-8")
    assert len(drawn) == first > 0
    assert "no time" in page
    assert write_report(tmp_path).read_text(encoding="utf-8") == page
    assert len(drawn) == 2 * first
    artifacts(("cat", "dog"), size=8, steps=5, traced=1).save(tmp_path / "artifacts.npz")
    assert report.write().read_text(encoding="utf-8") != page
    assert len(drawn) == 2 * first + 1


def test_a_page_of_several_runs_begins_with_the_answers_a_picture_and_a_table(small):
    run = results(classes=("cat", "dog"), epochs=2)
    other = results(classes=("cat", "dog"), epochs=3, networks=ROLES[:2], data={"name": "another"})
    html = render_many([Linked(run, EVIL, "runs/a b/report.html"), Linked(run, "second", "javascript:alert(1)"), other])
    page = Page(html)
    links = {a["href"] for a in page.all("a") if not a["href"].startswith("#")}
    assert links == {"runs/a%20b/report.html", "javascript%3Aalert%281%29"}
    assert len(page.ids) == len(set(page.ids))
    first = html[html.index('<section id="verdict"') : html.index("</section>")]
    words = Page(first + "</section>").text
    assert all(one.verdict.headline in words for one in (run, other))
    assert first.count('class="run"') == 3
    assert first.count("<svg") == html.count("<svg") == 1
    assert "epochs, at most" in first
    assert "Worth it?" in page.text
    body = html[html.index('id="comparison"') :]
    body = body[body.index("<tbody>") : body.index("</tbody>")]
    shown = [float(x) for x in re.findall(r"<td>(\d+\.\d+) %<small>", body)][::3]
    assert len(shown) == 8
    assert shown[:2] == sorted(shown[:2], reverse=True)
    assert shown[2:] == sorted(shown[2:], reverse=True)


def test_the_picture_of_several_runs_has_each_opponent_of_each_run_where_it_is(monkeypatch):
    seen = []
    monkeypatch.setattr(
        viz, "gain_against_cost", lambda gains, draw=viz.gain_against_cost: seen.extend(gains) or draw(gains)
    )
    run = made(epochs=2)
    render_many([run, results(networks=ROLES[:1], epochs=2, data={"name": "alone"})])
    snn, cost = run.network("snn"), [one.cost.energy_nanojoule["arithmetic"] for one in run.networks]
    assert [one.ratio for one in seen] == [cost[0] / cost[1], cost[0] / cost[2]]
    for one, other in zip(seen, run.networks[1:], strict=True):
        lead = 100 * (snn.metrics["accuracy"].mean - other.metrics["accuracy"].mean)
        assert one.points == pytest.approx(lead, abs=1e-6)
        assert one.low <= one.points <= one.high


def test_networks_that_never_disagree_were_compared_image_by_image():
    shown = artifacts()
    pairs = shown.disagreements
    none = {name: getattr(pairs, name)[:0] for name in vars(pairs) if hasattr(getattr(pairs, name), "shape")}
    level = dataclasses.replace(pairs, **none, both_right=5, only_a=0, only_b=0, both_wrong=1)
    page = render(made(), dataclasses.replace(shown, disagreements=level))
    assert "are right about the same test images (seed" in page
    assert "They give the same answer to every test image." in page
    assert "No image-by-image comparison was stored" not in page
