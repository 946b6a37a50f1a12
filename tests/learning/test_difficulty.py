"""Folds, the label store, and a fold that is interrupted: nothing may differ afterwards."""

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data.examples import Examples
from cascade_exp.data.images import ImageDataModule
from cascade_exp.data.splitting import Splits
from cascade_exp.errors import CascadeError
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.difficulty import (
    AGAIN,
    Labels,
    LabelStore,
    Task,
    assign_folds,
    label_quality,
)
from cascade_exp.learning.folds import fit_fold
from tests.learning.settings import optimizer, trainer


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(2, 9), st.integers(0, 9))
def test_folds_are_even_in_size_and_in_every_class(labels, folds, seed):
    labels = np.array(labels)
    if folds > len(labels):
        with pytest.raises(CascadeError, match=r"regularizer\.folds"):
            assign_folds(labels, folds, seed)
        return
    assigned = assign_folds(labels, folds, seed)
    np.testing.assert_array_equal(assigned, assign_folds(labels, folds, seed))
    for members in [np.ones(len(labels), dtype=bool), *(labels == c for c in set(labels))]:
        counts = np.bincount(assigned[members], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_folds_are_drawn():
    labels = np.repeat([0, 1], 20)
    drawn = {tuple(assign_folds(labels, 4, seed)) for seed in range(5)}
    assert len(drawn) == 5
    with pytest.raises(CascadeError, match=r"regularizer\.folds=1"):
        assign_folds(labels, 1, 0)


IDS = np.array([4, 9, 2, 7])
FOLD_OF = np.array([0, 1, 0, 1])
CORRECT = {0: [1, 1, 0, 1], 1: [1, 0, 0, 1]}  # by seed, in the order of IDS


def store(folder, **changes):
    return LabelStore(folder, {"model": "m", **changes}, IDS, FOLD_OF, 2, about={"data": "d"})


def finished(folder):
    made = store(folder)
    for task in made.tasks:
        made.put(task, np.array(CORRECT[task.seed], dtype=bool)[task.fold == FOLD_OF])
    return made


def test_labels_of_hand_made_folds(tmp_path):
    labels = finished(tmp_path).finish()
    np.testing.assert_array_equal(labels.difficult, [False, True, True, False])
    np.testing.assert_array_equal(labels.ids, IDS)
    (folder,) = tmp_path.iterdir()
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"id": "9", "correct_0": "1", "correct_1": "0", "difficulty": "1"}
    key = json.loads((folder / "key.json").read_text())
    assert key == {"of": {"data": "d"}, "made_from": {"model": "m"}}
    np.testing.assert_array_equal(store(tmp_path).finish().correct, labels.correct)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 3),
)
def test_quality_of_labels_by_hand(rows, folds):
    targets = np.array([row[0] for row in rows])
    correct = np.array([row[1:] for row in rows])
    fold_of = np.arange(len(rows)) % min(folds, len(rows))
    found = label_quality(Labels(np.arange(len(rows)), correct), targets, fold_of, "abc")
    right = [sum(row[1:]) for row in rows]
    assert found.held_out == pytest.approx(sum(right) / (2 * len(rows)))
    assert found.majority == max(list(targets).count(c) for c in range(3)) / len(rows)
    for c, name in enumerate("abc"):
        mine = [not all(row[1:]) for row in rows if row[0] == c]
        assert (name in found.difficult) == bool(mine)
        if mine:
            assert found.difficult[name] == pytest.approx(sum(mine) / len(mine))
    for seed in (0, 1):
        for fold, accuracy in enumerate(found.accuracy[seed]):
            held = [row[1 + seed] for row, its in zip(rows, fold_of, strict=True) if its == fold]
            assert accuracy == pytest.approx(sum(held) / len(held))


@pytest.mark.parametrize(("right", "informative"), [(60, False), (69, False), (71, True)])
def test_labels_inform_only_above_the_largest_class(right, informative):
    targets = np.repeat([0, 1], [60, 40])  # two standard errors of 0.6 over 100: 9.8 points
    correct = np.arange(100) < right
    found = label_quality(
        Labels(np.arange(100), correct[:, None]), targets, np.arange(100) % 2, ("no", "yes")
    )
    assert found.informative is informative


def test_another_origin_is_another_table(tmp_path):
    assert not store(tmp_path, epochs=3).file.is_file()
    assert store(tmp_path).folder != store(tmp_path, epochs=3).folder


def test_a_task_has_one_worker_and_goes_back_when_it_dies(tmp_path):
    task = Task(0, 1)
    with store(tmp_path).claim(task) as mine, store(tmp_path).claim(task) as too:
        assert mine and not too
    with pytest.raises(RuntimeError), store(tmp_path).claim(task):
        raise RuntimeError
    with store(tmp_path).claim(task) as mine:
        assert mine
    finished(tmp_path)
    with store(tmp_path).claim(task) as mine:
        assert not mine


def test_what_is_left_behind_is_plain_text_and_nothing_else(tmp_path):
    made = finished(tmp_path)
    with made.claim(made.tasks[0]):
        pass
    made.finish()
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "folds",
        "key.json",
        "labels.csv",
    ]
    assert not any(b"\r" in path.read_bytes() for path in made.folder.rglob("*.csv"))
    with store(tmp_path).claim(made.tasks[0]) as mine:
        assert not mine


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", ": no column 'id' in its first line (found an empty file)"),
        ("id,right\n4,1\n2,0\n", ": no column 'correct' in its first line (found id,right)"),
        ("id,correct\n", ": damaged, 0 examples; expected 2;"),
        (
            "id,correct\n4,1\n9,1\n",
            ": line 3: damaged, '9,1'; expected 2 and 0 or 1 for each of correct;",
        ),
        ("id,correct\n4,1\n2,x\n", ": line 3: damaged, '2,x'; expected 2 and"),
        ("id,correct\n4\n2,1\n", ": line 2 has 1 fields, expected 2"),
        ("id,correct\n4,1\n2,0\n7,1\n", ": damaged, 3 examples; expected 2;"),
    ],
)
def test_a_damaged_fold_is_said(tmp_path, table, said):
    made = finished(tmp_path)
    (made.folder / "folds" / "seed0-fold0.csv").write_text(table)
    with pytest.raises(CascadeError) as refused:
        made.finish()
    assert f"seed0-fold0.csv{said}" in str(refused.value)
    assert "damaged" in str(refused.value) and AGAIN in str(refused.value)


def test_a_table_that_is_no_text_is_said(tmp_path):
    made = finished(tmp_path)
    made.finish()
    made.file.write_bytes(made.file.read_bytes() + b"\xff\xfe")
    with pytest.raises(
        CascadeError, match=r"labels\.csv: cannot be read as a CSV table.*0xff.*damaged"
    ):
        made.finish()


def test_a_difficulty_that_its_row_contradicts_is_said(tmp_path):
    made = finished(tmp_path)
    made.finish()
    made.file.write_text(made.file.read_text().replace("9,1,0,1", "9,1,0,0"))
    with pytest.raises(CascadeError, match=r"labels\.csv: example 9 has difficulty 0, which its"):
        made.finish()


def test_a_place_that_cannot_hold_labels_is_said(tmp_path):
    (tmp_path / "difficulty").write_text("a file")
    with pytest.raises(CascadeError, match=r"cannot hold difficulty labels .*paths\.cache_dir"):
        store(tmp_path / "difficulty")


class Killed(Exception):
    pass


def fold_fit(folder, die_at=None):
    """Weights after a fold with dropout and augmentation; dies at this share of the steps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8)
    examples = Examples(np.arange(40), rng.integers(0, 3, 40), images)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Dropout(0.5), torch.nn.Linear(32, 3)
    )
    data = ImageDataModule(
        Splits(examples, examples, examples, examples),
        size=8,
        channels=1,
        mean=[0.5],
        std=[0.5],
        interpolation="bilinear",
        batch_size=8,
        augment="crop_flip",
        workers=0,
        seed=1,
    )

    def progress(share):
        if die_at is not None and share >= die_at:
            raise Killed

    fit_fold(
        Classifier(network, 3, optimizer("torch.optim.AdamW", 1e-2)),
        data,
        trainer(4),
        seed=1,
        folder=folder,
        progress=progress,
    )
    return network.state_dict()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.95])
def test_a_fold_that_was_interrupted_ends_with_the_same_weights(tmp_path, share):
    whole = fold_fit(tmp_path / "whole")
    with pytest.raises(Killed):
        fold_fit(tmp_path / "broken", die_at=share)
    again = fold_fit(tmp_path / "broken")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_checkpoint_cut_short_is_as_good_as_none(tmp_path):
    whole = fold_fit(tmp_path / "whole")
    with pytest.raises(Killed):
        fold_fit(tmp_path / "broken", die_at=0.6)
    checkpoint = tmp_path / "broken" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    again = fold_fit(tmp_path / "broken")
    assert all(torch.equal(whole[key], again[key]) for key in whole)
