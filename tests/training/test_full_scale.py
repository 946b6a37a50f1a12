"""CascadeBERT's experiments at full scale, run whole from tiny local encoders as deep."""

import csv
import json

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, RobertaConfig
from transformers.models.roberta import RobertaModel

from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.schema.registry import register
from tests.running import ROOT, run
from tests.small_jobs import BAD, GOOD, OTHER

SMALL = {"vocab_size": 64, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
DEPTHS = (2, 4, 6, 8, 10)
QUICK = (
    "data.limit_train=64",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "logger=none",
    "callbacks=none",
    "plots=false",
    "analyses=false",
)


def network_of(hub_name: str, layers: int):
    if hub_name.startswith("distilbert"):
        return DistilBertModel(
            DistilBertConfig(vocab_size=64, dim=16, n_heads=2, hidden_dim=32, n_layers=layers)
        )
    if "roberta" in hub_name:
        shape = {**SMALL, "max_position_embeddings": 130}
        return RobertaModel(RobertaConfig(num_hidden_layers=layers, **shape))
    return BertModel(BertConfig(num_hidden_layers=layers, **SMALL))


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Hub name -> a directory with a tiny encoder of as many layers."""
    names = {f"google/bert_uncased_L-{layers}_H-768_A-12": layers for layers in DEPTHS}
    names["google-bert/bert-base-uncased"] = 12
    names["FacebookAI/roberta-base"] = 12
    names["distilbert/distilbert-base-uncased"] = 6
    folder = tmp_path_factory.mktemp("hub")
    tokenizer = build_tokenizer([*GOOD, *BAD, *OTHER], max_length=128)
    local = {}
    for name, layers in names.items():
        local[name] = folder / name.replace("/", "_")
        network_of(name, layers).save_pretrained(local[name])
        tokenizer.save_pretrained(local[name])
    return local


@pytest.fixture(scope="module")
def small_mnli(tmp_path_factory):
    """MNLI's files: which of three words the second sentence ends with determines the label."""
    folder = tmp_path_factory.mktemp("glue") / "MNLI"
    folder.mkdir()
    words = {"entailment": "fine", "neutral": "story", "contradiction": "dull"}
    rng = np.random.default_rng(0)
    for name, size in (("train", 200), ("dev_matched", 80), ("dev_mismatched", 60)):
        rows = ["sentence1\tsentence2\tgold_label"]
        for label in rng.choice(list(words), size=size):
            text = " ".join(rng.choice(OTHER, 4))
            rows.append(f"{text}\tit is {words[label]}\t{label}")
        (folder / f"{name}.tsv").write_text("\n".join([*rows, ""]))
    return folder.parent


def from_local(hub, overrides):
    """The overrides that put a local directory in the place of each member's hub name."""
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        members = compose("train", overrides=list(overrides)).models.members
    return [
        f"models.members.{name}.encoder={hub[member.encoder]}" for name, member in members.items()
    ]


def speed_ups(job):
    """(method, target) -> mean speed-up on report in speed_ups.csv."""
    with (job / "results" / "speed_ups.csv").open(newline="") as file:
        return {
            (row["method"], row["target"]): float(row["report_speed_up"])
            for row in csv.DictReader(file)
        }


def trained(tmp_path, hub, small_glue, *overrides):
    given = (*overrides, *from_local(hub, overrides), f"data.root={small_glue}", *QUICK)
    run("train", tmp_path / "job", *given)
    return tmp_path / "job"


def test_table_2_stands_at_its_speed_ups(tmp_path, hub, small_glue):
    few = ("regularizer.folds=2", "regularizer.seeds=1")
    job = trained(tmp_path, hub, small_glue, "experiment=sst2_bert", *few)
    labelled = list((tmp_path / "cache" / "difficulty").glob("*/labels.csv"))
    assert len(labelled) == 2  # bert_2l and bert_6l; BERT-kL and the last stage need none
    with (job / "results" / "representations.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"bert_2l", "deebert"}
    assert (job / "results" / "representations.png").stat().st_size > 5000
    found = speed_ups(job)
    assert {method for method, _ in found} == {
        *("full", "bert_kl", "deebert", "pabee", "fastbert", "cascade_2_12", "cascade_2_6_12")
    }
    for target in ("2.0", "3.0", "4.0"):
        assert found["bert_kl", target] == pytest.approx(float(target))


def test_mnli_is_evaluated_on_matched_and_mismatched(tmp_path, hub, small_mnli):
    """Chosen on one matched half, evaluated on the other half and on all of mismatched."""
    few = [f"~models.members.{name}" for name in ("first_3l", "first_4l", "first_6l", "bert_6l")]
    few += [f"~models.members.{name}" for name in ("deebert", "pabee", "fastbert")]
    few += [f"~speed_ups.members.{name}" for name in ("deebert", "pabee", "fastbert", "bert_kl")]
    few += ["~speed_ups.members.cascade_2_6_12", "representations.layer=null", "regularizer=none"]
    job = trained(tmp_path, hub, small_mnli, "experiment=mnli_bert", *few)
    logits = np.load(job / "recordings" / "mnli_mismatched" / "bert_12l.npy")
    assert logits.shape == (60, 3)
    with (job / "results" / "speed_ups.csv").open(newline="") as file:
        matched = list(csv.DictReader(file))
    with (job / "results" / "speed_ups_mnli_mismatched.csv").open(newline="") as file:
        mismatched = list(csv.DictReader(file))
    chosen = ("method", "target", "stages", "threshold", "selection_speed_up", "selection_score")
    assert [[row[key] for key in chosen] for row in matched] == [
        [row[key] for key in chosen] for row in mismatched
    ]
    labels = np.load(job / "recordings" / "mnli_mismatched" / "labels.npy")
    whole = float((logits.argmax(axis=1) == labels).mean())
    assert float(mismatched[0]["report_score"]) == pytest.approx(whole)
    run(
        "evaluate",
        tmp_path / "evaluation",
        f"run={job}",
        "splits.report=mnli_mismatched",
        "cost=layers",
        "logger=none",
        "plots=false",
        "analyses=false",
    )
    summary = json.loads((tmp_path / "evaluation" / "results" / "summary.json").read_text())
    scores = {one["name"]: one["report"]["score"] for one in summary["single_models"]}
    assert scores["bert_12l"] == pytest.approx(whole)


def test_figures_2_and_3_have_every_depth(tmp_path, hub, small_glue):
    job = trained(tmp_path, hub, small_glue, "experiment=bert_depths", "analyses=true")
    with (job / "results" / "analyses" / "inversions.csv").open(newline="") as file:
        layers = [float(row["layers"]) for row in csv.DictReader(file)]
    assert sorted(layers) == sorted([*DEPTHS, *DEPTHS, 12, *range(1, 13)])


@pytest.mark.parametrize(
    "way",
    [
        ["distillation=patient"],
        ["distillation=theseus"],
        ["models=bert_pd", "distillation=vanilla"],
        ["models=distilbert"],
    ],
)
def test_students_of_table_3_are_three_times_faster(tmp_path, hub, small_glue, way):
    job = trained(tmp_path, hub, small_glue, "experiment=static_speed_ups", *way)
    assert speed_ups(job)["student", "3.0"] == pytest.approx(3)


def test_table_6_out_of_roberta(tmp_path, hub, small_glue):
    job = trained(tmp_path, hub, small_glue, "experiment=roberta_speed_ups", "distillation=vanilla")
    assert speed_ups(job)["roberta_kl", "3.0"] == pytest.approx(3)
