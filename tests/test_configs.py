"""Every option and every experiment composes, and says in its first line what it is."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from cascade_exp.schema.checks import check_members, to_settings
from cascade_exp.schema.evaluating import EvaluateConfig
from cascade_exp.schema.registry import register
from cascade_exp.schema.training import TrainConfig

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir())
MULTIPLE = {"callbacks", "logger"}  # several options at once, each nested under its own name
UNNAMED = {"hydra", "experiment", "debug", "paths", "hparams_search"} | MULTIPLE
OPTIONS = [(g, p.stem) for g in GROUPS if g != "hydra" for p in sorted((CONF / g).glob("*.yaml"))]
EXPERIMENTS = [name for group, name in OPTIONS if group == "experiment"]
FILL = {
    ("data", "table"): ["data.train_file=x.csv"],
    ("data", "csv"): ["data.train_file=x.csv"],
    ("data", "jsonl"): ["data.train_file=x.jsonl"],
    ("data", "parquet"): ["data.train_file=x.parquet"],
    ("experiment", "own_texts"): ["data.train_file=x.csv"],
    ("data", "cifar10"): ["data.root=x"],
    ("data", "image_folder"): ["data.root=x"],
    ("models", "minilm_tiers"): ["encoder=x"],
    ("cascade", "stages"): ["cascade.stages=[a,b]"],
    ("cascade", "exits"): ["cascade.network=a"],
    ("models", "minilm_2_6"): ["encoder=x"],
    ("models", "minilm_1_2_3_6"): ["encoder=x"],
    ("models", "minilm_choice"): ["encoder=x"],
    ("models", "bert_kl"): ["encoder=x"],
    ("models", "timm_front"): ["models.table=x"],
    ("models", "minilm_speed_ups"): ["encoder=x"],
    ("models", "deebert"): ["encoder=x"],
    ("models", "pabee"): ["encoder=x"],
    ("models", "fastbert"): ["encoder=x"],
}


def composed(name: str, *overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def entry_of(experiment: str) -> str:
    lines = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    found = re.match(rf"# uv run (train|evaluate)\.py experiment={experiment}\b", lines[1])
    assert lines[0] == "# @package _global_" and found, f"{experiment}: no command in line 2"
    return found[1]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_says_what_it_is(group, option):
    lines = (CONF / group / f"{option}.yaml").read_text().splitlines()
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert re.match(r"# \S.{8,}", first)
    assert len(first) <= 120


@pytest.mark.parametrize(("group", "option"), [o for o in OPTIONS if o[0] not in ("experiment",)])
def test_every_option_composes_and_carries_its_name(group, option):
    config = composed("train", f"{group}={option}", *FILL.get((group, option), []))
    assert isinstance(to_settings(config), TrainConfig)
    if group not in UNNAMED:
        assert config[group].name == option


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment):
    entry = entry_of(experiment)
    config = composed(entry, f"experiment={experiment}", *FILL.get(("experiment", experiment), []))
    expected = {"train": TrainConfig, "evaluate": EvaluateConfig}[entry]
    assert type(to_settings(config)) is expected
    if entry == "train":
        assert check_members(config.models)


@pytest.mark.parametrize("scale", ["minilm", "bert"])
@pytest.mark.parametrize(
    ("experiment", "margin"),
    [(task, 0.5) for task in ("mrpc", "rte", "sst2")] + [(t, 0.3) for t in ("mnli", "qnli", "qqp")],
)
def test_dar_takes_the_margin_of_table_1_unless_given_another(experiment, margin, scale):
    given = f"experiment={experiment}_{scale}"
    recipe = composed("train", given).regularizer
    assert recipe.name == {"minilm": "none", "bert": "dar"}[scale]
    assert ("margin" in recipe) == (scale == "bert")
    config = composed("train", given, "regularizer=dar")
    found = to_settings(config).regularizer
    assert (found.folds, found.seeds, found.weight, found.margin) == (8, 5, 0.5, margin)
    other = composed(
        "train", "experiment=roberta_speed_ups", f"data={experiment}", "regularizer=dar"
    )
    assert other.regularizer.margin == margin
    for order in (
        ["regularizer=dar", "regularizer.margin=0.7"],
        ["regularizer.margin=0.7", "regularizer=dar"],
    ):
        assert composed("train", given, *order).regularizer.margin == 0.7


def test_evaluate_takes_the_same_options_as_train():
    train, evaluate = composed("train"), composed("evaluate")
    assert set(evaluate) - set(train) == {"recordings", "compare"}
    for key in set(evaluate) & set(train):
        assert evaluate[key] == train[key], key


def test_several_loggers_nest():
    config = composed("evaluate", "logger=[wandb,csv]")
    assert set(config.logger) == {"wandb", "csv"}


def test_defaults_lists_are_commented():
    for name in ("train", "evaluate"):
        text = (CONF / f"{name}.yaml").read_text()
        lines = [line for line in text.splitlines() if line.startswith("  - ")]
        assert all("#" in line or line.strip() == "- _self_" for line in lines)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=str)
def test_every_file_starts_with_a_comment_of_one_line(path):
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert re.match(r"# \S.{8,}", first)
