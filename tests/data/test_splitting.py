"""The four splits: disjoint, complete, stratified, and each refusal."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data.examples import Source, source_of
from cascade_exp.data.splitting import SPLITS, Splits, carve, stratify
from cascade_exp.errors import CascadeError
from tests.oracles import splits as oracle

labels_of = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


def source(train: Any, test: Any = None, selection: Any = None) -> Source:
    def pair(labels: Any) -> Any:
        return None if labels is None else (labels, [(f"t{i}", None) for i in range(len(labels))])

    return source_of("toy", "text", list("abcde"), pair(train), pair(test), pair(selection))


def cut(data: Source, **changes: Any) -> Splits:
    settings = {
        "selection": "report_half",
        "validation_share": 0.2,
        "selection_share": 0.3,
        "limit_train": None,
        "seed": 0,
    }
    return carve(data, **(settings | changes))


@given(labels_of, st.data(), st.integers(0, 5))
def test_stratify_draws_each_class_within_one_of_its_share(labels, data, seed):
    take = data.draw(st.integers(0, len(labels)))
    drawn, left = stratify(labels, take, np.random.default_rng(seed))
    assert len(drawn) == take
    assert sorted([*drawn, *left]) == list(range(len(labels)))
    assert (np.diff(drawn) > 0).all() and (np.diff(left) > 0).all()
    for c in np.unique(labels):
        share = Fraction(int((labels == c).sum()) * take, len(labels))
        assert abs(int((labels[drawn] == c).sum()) - share) <= 1


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.data())
def test_stratify_leaves_no_more_classes_out_than_it_must(sizes, data):
    take = data.draw(st.integers(0, sum(sizes)))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    drawn, _ = stratify(labels, take, np.random.default_rng(0))
    seats = tuple(np.bincount(labels[drawn], minlength=len(sizes)).tolist())
    assert seats in oracle.seatings(sizes, take)
    assert oracle.missing(sizes, seats) == oracle.least_missing(sizes, take)


def test_stratify_is_the_largest_remainder_method_where_no_class_is_at_stake():
    labels = np.repeat([0, 1, 2], [53, 24, 23])
    drawn, _ = stratify(labels, 10, np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == [5, 3, 2]


def test_stratify_draws_uniformly_within_a_class():
    counts = np.zeros(6)
    for seed in range(600):
        drawn, _ = stratify(np.array([0, 0, 0, 1, 1, 1]), 2, np.random.default_rng(seed))
        counts[drawn] += 1
    assert counts.sum() == 1200
    assert abs(counts - 200).max() < 60


@given(
    train=st.lists(st.integers(0, 4), min_size=12, max_size=60).map(np.array),
    test=st.none() | st.lists(st.integers(0, 4), min_size=2, max_size=40).map(np.array),
    own=st.lists(st.integers(0, 4), min_size=1, max_size=9).map(np.array),
    policy=st.sampled_from(["report_half", "train", "own"]),
    limit=st.none() | st.integers(1, 70),
    seed=st.integers(0, 3),
)
def test_splits_are_disjoint_complete_and_deterministic(train, test, own, policy, limit, seed):
    data = source(train, test, own if policy == "own" else None)
    splits = cut(data, selection=policy, limit_train=limit, seed=seed)
    ids = {name: splits.named(name).ids.tolist() for name in SPLITS}
    together = [i for name in SPLITS for i in ids[name]]
    assert len(set(together)) == len(together)
    assert all(ids.values())
    whole = cut(data, selection=policy, seed=seed)
    everything = [i for name in SPLITS for i in whole.named(name).ids.tolist()]
    parts = [data.train, data.test, data.selection]
    assert sorted(everything) == [i for part in parts if part is not None for i in part.ids]
    for name in ("validation", "selection", "report"):
        assert ids[name] == whole.named(name).ids.tolist()
    assert set(ids["train"]) <= set(whole.train.ids.tolist())
    assert len(ids["train"]) == min(len(whole.train), limit or len(whole.train))
    again = cut(data, selection=policy, limit_train=limit, seed=seed)
    assert ids == {name: again.named(name).ids.tolist() for name in SPLITS}
    for name in SPLITS:
        examples = splits.named(name)
        by_id = {
            i: (label, text)
            for part in parts
            if part is not None
            for i, label, text in zip(part.ids, part.labels, part.inputs, strict=True)
        }
        for i, label, text in zip(examples.ids, examples.labels, examples.inputs, strict=True):
            assert by_id[i] == (label, text)


def test_report_half_halves_test_and_leaves_train_to_train_and_validation():
    labels = np.arange(100) % 5
    splits = cut(source(labels, labels[:41]))
    assert [len(splits.named(name)) for name in SPLITS] == [80, 20, 20, 21]
    assert splits.selection.ids.min() >= 100 and splits.report.ids.min() >= 100
    assert splits.validation.ids.max() < 100
    assert np.bincount(splits.validation.labels).tolist() == [4] * 5


def test_train_carves_selection_out_of_train_and_reports_all_of_test():
    labels = np.arange(100) % 5
    splits = cut(source(labels, labels[:40]), selection="train")
    assert [len(splits.named(name)) for name in SPLITS] == [50, 20, 30, 40]
    assert splits.report.ids.tolist() == list(range(100, 140))
    assert splits.selection.ids.max() < 100


def test_own_takes_the_sources_selection_split():
    labels = np.arange(100) % 5
    splits = cut(source(labels, labels[:40], labels[:10]), selection="own")
    assert splits.selection.ids.tolist() == list(range(140, 150))
    assert splits.report.ids.tolist() == list(range(100, 140))


@pytest.mark.parametrize("policy", ["report_half", "train"])
def test_without_a_test_set_half_of_the_whole_stands_in(policy):
    labels = np.arange(100) % 5
    splits = cut(source(labels), selection=policy)
    half = {"report_half": [40, 10, 25, 25], "train": [25, 10, 15, 50]}[policy]
    assert [len(splits.named(name)) for name in SPLITS] == half


def test_selection_and_report_do_not_depend_on_the_other_choices():
    labels = np.arange(100) % 5
    data = source(labels, labels[:40])
    for policy in ("report_half", "train"):
        one = cut(data, selection=policy)
        two = cut(data, selection=policy, validation_share=0.1, limit_train=7)
        assert one.selection.ids.tolist() == two.selection.ids.tolist()
        assert one.report.ids.tolist() == two.report.ids.tolist()


def test_another_seed_draws_other_splits():
    labels = np.arange(100) % 5
    data = source(labels, labels)
    assert cut(data).report.ids.tolist() != cut(data, seed=1).report.ids.tolist()


def test_a_class_of_one_example_is_nobodys_problem():
    labels = np.array([0] * 30 + [1] * 30 + [2])
    splits = cut(source(labels, labels))
    assert 2 in splits.train.labels
    assert (splits.report.labels == 2).sum() + (splits.selection.labels == 2).sum() == 1


def test_limit_train_is_stratified():
    labels = np.array([0] * 75 + [1] * 25)
    splits = cut(source(labels, labels), limit_train=20)
    assert np.bincount(splits.train.labels).tolist() == [15, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selection": "trian"}, "data.selection=trian: .*did you mean 'train'"),
        ({"validation_share": 0.0}, "data.validation_share=0.0: expected a share"),
        ({"validation_share": 1.5}, "data.validation_share=1.5: expected a share"),
        ({"validation_share": float("nan")}, "data.validation_share=nan: expected a share"),
        ({"validation_share": 0.001}, "data.validation_share=0.001: none of the 20 training"),
        ({"validation_share": 0.99}, "data.validation_share=0.99 leave none of the 20"),
        ({"selection": "train", "selection_share": 0}, "data.selection_share=0: expected a share"),
        (
            {"selection": "train", "selection_share": 0.9, "validation_share": 0.1},
            "data.validation_share=0.1 and data.selection_share=0.9 leave none of the 20",
        ),
        ({"limit_train": 0}, "data.limit_train=0: expected at least 1"),
        ({"seed": -1}, "seed=-1: expected"),
        ({"selection": "own"}, "data.selection=own: toy brings no selection split"),
    ],
)
def test_a_setting_that_cannot_be_met_is_named(changes, message):
    labels = np.arange(20) % 2
    with pytest.raises(CascadeError, match=message):
        cut(source(labels, labels), **changes)


def test_too_few_examples_to_halve():
    labels = np.arange(20) % 2
    with pytest.raises(CascadeError, match="report_half: 1 labelled test examples in toy cannot"):
        cut(source(labels, labels[:1]))
    with pytest.raises(CascadeError, match="data toy: 1 example and no labelled test set"):
        cut(source(labels[:1]))
    with pytest.raises(CascadeError, match="data toy: the report split is empty"):
        cut(source(labels, labels[:0]), selection="train")


def test_a_selection_split_that_would_go_unread_is_refused():
    labels = np.arange(20) % 2
    with pytest.raises(CascadeError, match="would go unread; expected own"):
        cut(source(labels, labels, labels))


def test_named_refuses_another_name():
    labels = np.arange(20) % 2
    with pytest.raises(CascadeError, match=r"split=reprot: .*did you mean 'report'"):
        cut(source(labels, labels)).named("reprot")
