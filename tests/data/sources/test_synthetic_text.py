"""Generated opinions: right labels, known difficulty, a closed vocabulary, no sentence twice."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from cascade_exp.data import load_source
from cascade_exp.data.sources.synthetic_text import LEVELS, SyntheticText, generate, vocabulary
from cascade_exp.data.splitting import SPLITS, carve
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from tests.oracles import opinions as oracle


@pytest.fixture(scope="module")
def generated() -> SyntheticText:
    return generate(4000, 1000, seed=0)


def rows(data: SyntheticText) -> list[tuple[int, int, str]]:
    """(id, label, text) of every example."""
    assert data.source.test is not None
    return [
        (int(i), int(label), text)
        for part in (data.source.train, data.source.test)
        for i, label, (text, _) in zip(part.ids, part.labels, part.inputs, strict=True)
    ]


def test_label_and_level_are_what_the_sentence_says(generated):
    for i, label, text in rows(generated):
        assert oracle.read(text) == (LEVELS[generated.difficulty[i]], bool(label)), text


def test_no_sentence_is_there_twice(generated):
    texts = [text for _, _, text in rows(generated)]
    assert len(set(texts)) == len(texts) == 5000


def test_levels_and_labels_are_balanced(generated):
    table = np.zeros((len(LEVELS), 2), int)
    for i, label, _ in rows(generated):
        table[generated.difficulty[i], label] += 1
    assert (table == 500).all()
    assert np.bincount(generated.difficulty[generated.source.train.ids]).tolist() == [800] * 5


def test_the_vocabulary_is_closed_small_and_all_used(generated):
    words = {word for _, _, text in rows(generated) for word in text.split()}
    assert words == set(vocabulary())
    assert len(vocabulary()) < 200
    tokenizer = build_tokenizer(vocabulary(), max_length=48)
    texts = [text for _, _, text in rows(generated)]
    encoded = tokenizer(texts)["input_ids"]
    assert not any(tokenizer.unk_token_id in ids for ids in encoded)
    assert max(map(len, encoded)) <= 48
    assert [len(ids) - 2 for ids in encoded] == [len(text.split()) for text in texts]


def test_the_seed_decides_everything(generated):
    assert rows(generate(4000, 1000, seed=0)) == rows(generated)
    assert rows(generate(4000, 1000, seed=1)) != rows(generated)


def test_a_bag_of_words_solves_the_first_level_and_not_the_others(generated):
    train, test = generated.source.train, generated.source.test
    words = CountVectorizer(token_pattern=r"\S+")
    model = LogisticRegression(max_iter=1000)
    model.fit(words.fit_transform([text for text, _ in train.inputs]), train.labels)
    right = model.predict(words.transform([text for text, _ in test.inputs])) == test.labels
    level = generated.difficulty[test.ids]
    scores = [right[level == k].mean() for k in range(len(LEVELS))]
    assert scores[0] > 0.9
    assert 0.6 < scores[1] < 0.9
    assert max(scores[2:]) < 0.65


def test_it_is_a_source_like_any_other():
    source = load_source(
        {"source": "synthetic_text", "train_size": 300, "test_size": 100, "generator_seed": 3}
    )
    assert source.kind == "text" and source.classes == ("negative", "positive")
    splits = carve(
        source,
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=None,
        seed=0,
    )
    assert [len(splits.named(name)) for name in SPLITS] == [270, 30, 50, 50]
    again = generate(300, 100, seed=3)
    texts = {i: text for i, _, text in rows(again)}
    report = splits.report
    for i, (text, _) in zip(report.ids, report.inputs, strict=True):
        assert texts[int(i)] == text
        assert oracle.read(text)[0] == LEVELS[again.difficulty[i]]


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(CascadeError, match=r"data\.train_size=0: expected at least 1"):
        generate(0, 10, 0)
    with pytest.raises(CascadeError, match=r"data\.test_size=-1: expected at least 1"):
        generate(10, -1, 0)


@pytest.mark.slow
def test_more_sentences_than_there_are_is_one_line():
    with pytest.raises(
        CascadeError, match=r"no new one of level 'single' is found; expected fewer"
    ):
        generate(1_000_000, 10, 0)
