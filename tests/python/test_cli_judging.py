"""How good a model is: figures held against scikit-learn's, their page, and hints."""

from __future__ import annotations

import math
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import done, frame, refused, small, written
from sklearn import metrics as sk

import gdcore as gd
from gdcore.cli import hints, judged_text, judges, judging
from gdcore.cli.hidden import hidden_layers
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import CategoricalColumn, EmbeddedColumn, NumericColumn
from gdcore.tabular.meanings import ClassTarget, NumberTarget
from gdcore.tabular.networks import network_over

RNG = np.random.default_rng(0)
FEW = ("--hidden", 4, "--epochs", 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_classes_are_judged_as_scikit_learn_does(classes: int, weighted: bool) -> None:
    y = RNG.integers(0, classes, 200)
    shares = RNG.dirichlet(np.ones(classes), 200) + 0.5 * np.eye(classes)[y]
    shares /= shares.sum(axis=1, keepdims=True)
    weights = RNG.random(200) if weighted else None
    found = judging._of_classes(ClassTarget("y", tuple("abcd"[:classes])), y, shares, weights)
    said, labels = shares.argmax(axis=1), range(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = sk.precision_recall_fscore_support(y, said, sample_weight=weights)
        areas = [sk.roc_auc_score(y == k, shares[:, k], sample_weight=weights) for k in labels]
    rows = found.rows[:classes]
    for key, own in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        assert [getattr(each, key) for each in rows] == pytest.approx(own)
    assert [each.auc for each in rows] == pytest.approx(areas)
    assert found.confusion == pytest.approx(sk.confusion_matrix(y, said, sample_weight=weights))
    assert found.figures["accuracy"] == pytest.approx(
        sk.accuracy_score(y, said, sample_weight=weights)
    )
    assert found.figures["balanced accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(y, said, sample_weight=weights)
    )
    assert found.figures["log loss"] == pytest.approx(sk.log_loss(y, shares, sample_weight=weights))
    assert found.figures["f1"] == pytest.approx(np.mean(wanted[2]))
    by_support = sk.f1_score(y, said, average="weighted", sample_weight=weights)
    assert found.rows[-1].f1 == pytest.approx(by_support)
    logits = np.log(shares)
    assert judges.f1(y, logits, weights) == pytest.approx(np.mean(wanted[2]))
    if classes > 2:
        assert judges.auc(y, logits, weights) == pytest.approx(np.mean(areas))


def test_labels_are_judged_as_scikit_learn_does() -> None:
    y = RNG.random((150, 3)) < 0.4
    shares = np.clip(0.3 * y + 0.7 * RNG.random((150, 3)), 0, 1)
    found = judging._of_labels("y", ["a", "b", "c"], y, shares, None)
    said = shares > 0.5
    wanted = sk.precision_recall_fscore_support(y, said)
    for key, own in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        assert [getattr(each, key) for each in found.rows[:3]] == pytest.approx(own)
    assert found.figures["auc"] == pytest.approx(sk.roc_auc_score(y, shares))
    assert found.figures["accuracy"] == pytest.approx(1 - sk.hamming_loss(y, said))
    assert found.figures["all labels right"] == pytest.approx(sk.accuracy_score(y, said))
    assert judges.f1(y.astype(float), shares - 0.5) == pytest.approx(np.mean(wanted[2]))


def test_numbers_are_judged_as_scikit_learn_does() -> None:
    from gdcore.cli.parts import Part

    truth = RNG.normal(size=(100, 2))
    said, weights = truth + 0.1 * RNG.normal(size=(100, 2)), RNG.random(100)
    part = Part(np.zeros((100, 1)), truth, truth, weights)
    target = NumberTarget("y", (0.0, 0.0), (1.0, 1.0), ("p", "q"))
    found = judging._of_numbers(target, said, part).numbers[1]
    assert found.name == "q"
    own = (truth[:, 1], said[:, 1])
    mse = sk.mean_squared_error(*own, sample_weight=weights)
    assert found.figures["rmse"] == pytest.approx(math.sqrt(mse))
    assert found.figures["mae"] == pytest.approx(
        sk.mean_absolute_error(*own, sample_weight=weights)
    )
    assert found.figures["r2"] == pytest.approx(sk.r2_score(*own, sample_weight=weights))
    assert found.quantiles[50] == pytest.approx(np.median(own[1] - own[0]))


def test_probabilities_are_held_against_what_happened() -> None:
    shares = np.array([0.05, 0.15, 0.15, 0.95, 1.0])
    bins, error = judging._bins(shares, np.array([0, 0, 1, 1, 1]) > 0, None)
    assert [(b.low, b.count, b.held) for b in bins] == [(0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 2, 1.0)]
    assert error == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.025) / 5)


def test_a_class_without_rows_has_no_figures() -> None:
    shares = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    found = judging._of_classes(ClassTarget("y", (1, 2, 3)), np.array([0, 1]), shares, None)
    assert math.isnan(found.rows[2].recall)
    assert found.figures["balanced accuracy"] == 1
    assert judged_text.share(math.nan) == "-"


def test_evaluate_tells_what_training_told(tmp_path: Path) -> None:
    path = written(tmp_path / "iris.csv", frame("iris"))
    model = tmp_path / "m"
    trained = done("train", path, "--target", "target", "--save", model, "--validation", 0).stdout
    told = done("evaluate", model, path).stdout
    accuracy = re.search(r"accuracy, training\W+([\d.]+%)", trained)
    assert accuracy
    assert re.search(rf"accuracy\W+{re.escape(accuracy[1])}", told)
    table = trained[trained.index("by class") :].partition(":")[2]
    assert table.partition("rows of each")[0] in told
    assert "probability of the predicted class" in told
    assert "probability of the predicted class" not in trained


class _Page(HTMLParser):
    """The text of a page, and all addresses in it."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.opened: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.opened.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("target", ["y", "a", "p,q"])
def test_a_page_that_needs_no_network(tmp_path: Path, target: str) -> None:
    table = small().with_columns(p=(pl.col("a") > 7), q=pl.Series([True, False] * 30))
    path = written(tmp_path / "<d>.csv", table)
    page, model = tmp_path / "r.html", tmp_path / "m"
    result = done("train", path, "--target", target, "--save", model, "--report", page, *FEW)
    assert f"written: {page}" in result.stderr
    read = _Page(page.read_text())
    assert not read.opened
    assert not read.addresses
    told = " ".join(read.words)
    for word in ("<d>.csv", "held out", "Training", "epoch"):
        assert word in told
    for word in {"y": ["precision", "yes", "happened"], "a": ["rmse", "largest error"]}.get(
        target, ["precision", "all labels right"]
    ):
        assert word in told
    done("evaluate", model, path, "--report", page)
    again = " ".join(_Page(page.read_text()).words)
    assert "60" in again
    assert "epoch" not in again


def test_many_classes_have_pairs_in_place_of_a_matrix(tmp_path: Path) -> None:
    y = [f"k{i % 50:02d}" for i in range(400)]
    path = written(tmp_path / "d.csv", small(400, y=y))
    result = done("train", path, "--target", "y", "--report", tmp_path / "r.html", *FEW)
    assert "most confused" in result.stdout
    assert "10 more" in result.stdout
    assert "taken for" in (tmp_path / "r.html").read_text()


def test_reports_that_cannot_be(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    how = ["train", path, "--target", "y", "--report"]
    refused(tmp_path, [*how, tmp_path / "r.pdf"], "--report", ".html")
    refused(tmp_path, [*how, tmp_path / "no" / "r.html"], "--report", "folder")
    refused(tmp_path, [*how, tmp_path / "r.html", "--folds", 3], "--report", "--folds")
    net = gd.Network([gd.Dense(1)], input_size=2)
    net.save(tmp_path / "bare")
    refused(tmp_path, ["evaluate", tmp_path / "bare", path], "knows no columns")


# ---- hints ----


def test_a_network_that_learns_gets_no_hint(tmp_path: Path) -> None:
    for activation in ("relu", "tanh", "gelu"):
        result = done("train", "digits", "--epochs", 2, "--activation", activation)
        assert "hint:" not in result.stderr


def test_numbers_far_out_are_told(tmp_path: Path) -> None:
    a = [(7 * i) % 1200 / 4 for i in range(1200)]
    a[5] = 1e9
    path = written(tmp_path / "d.csv", small(1200, a=a))
    told = done("train", path, "--target", "y", "--task", "classification", *FEW).stderr
    assert re.search(r"hint: column 'a' has a number 3\d deviations from its mean.*logarithm", told)


COLUMNS = (NumericColumn("n", 0.0, 1.0), CategoricalColumn("c", ("p", "q")))
EMBEDDED = (EmbeddedColumn("e", ("r", "s", "t")), EmbeddedColumn("f", ("u", "v")))


@pytest.mark.parametrize("embedded", [0, 1, 2], ids=["numbers", "both", "codes"])
@pytest.mark.parametrize(
    ("activation", "norm", "word"), [("relu", None, "dead"), ("tanh", None, "saturated"),
                                     ("sigmoid", "rms", "saturated")],
)  # fmt: skip
def test_units_that_learn_no_more_are_told(
    embedded: int, activation: str, norm: str | None, word: str
) -> None:
    columns = [COLUMNS, COLUMNS + EMBEDDED, EMBEDDED][embedded]
    preparation = Fitted(columns, ClassTarget("y", ("a", "b")))
    net = network_over(preparation, hidden_layers((5, 6), activation, norm, 0.1, False), 2, 3)
    numbers = RNG.normal(size=(40, 3)).astype(np.float32)
    codes = RNG.integers(0, 2, size=(40, 2)).astype(np.int32)
    x = [numbers, {"numbers": numbers, "categories": codes}, codes][embedded]
    assert hints.of(net, preparation, x) == []
    state = net.state_dict()
    biases = [key for key in state if key.endswith("bias") and state[key].shape == (6,)]
    state[biases[-1]][:4] = -100.0
    if norm is not None:  # which would bring the sums back to one scale
        scale = next(k for k in state if k.endswith("weight") and state[k].shape == (6,))
        state[scale][:] = 100.0
    net.load_state_dict(state)
    (told,) = hints.of(net, preparation, x)
    assert f"{activation} units in hidden layer 2 are {word}" in told
    assert "--lr" in told
