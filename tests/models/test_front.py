"""The pool that published tables suggest: joined, not dominated, thinned, and a pool to record."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.errors import CascadeError
from cascade_exp.models.front import (
    PublishedModel,
    main,
    members_of,
    published_models,
    single_model_front,
    thinned,
)
from tests.test_configs import composed
from tests.warm import python

PUBLISHED = Path(__file__).parents[3] / "shared/data/timm_results"
AMPERE = "benchmark-infer-amp-nhwc-pt113-cu117-rtx3090.csv"

RESULTS = """model,img_size,top1,param_count
small.v1,224,70.0,1.0
small.v2,224,72.0,1.0
wide.v1,224,71.0,"1,013.01"
large.v1,224,80.0,9.0
large.v1,288,81.0,9.0
unmeasured.v1,224,99.0,1.0
"""
BENCHMARK = """model,infer_img_size,infer_samples_per_sec,infer_gmacs
small,224,1000.0,1.0
wide,224,2000.0,2.0
large,224,100.0,8.0
large,288,50.0,13.0
large,320,40.0,16.0
untested,224,5000.0,0.1
uncounted,224,9000.0,
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "results-imagenet.csv").write_text(RESULTS)
    (tmp_path / "benchmark-gpu.csv").write_text(BENCHMARK)
    return tmp_path


def test_models_are_joined_by_architecture_and_image_size(tables):
    found = {(it.name, it.img_size): it for it in published_models(tables)}
    assert list(found) == [
        ("small.v1", 224),
        ("small.v2", 224),
        ("wide.v1", 224),
        ("large.v1", 224),
        ("large.v1", 288),
    ]
    assert found["large.v1", 288] == PublishedModel("large.v1", 288, 81.0, 13.0, 50.0)


def test_the_front_is_that_of_the_cost(tables):
    models = published_models(tables)
    names = [(it.name, it.img_size) for it in single_model_front(models, "macs")]
    assert names == [("small.v2", 224), ("large.v1", 224), ("large.v1", 288)]
    names = [(it.name, it.img_size) for it in single_model_front(models, "time")]
    assert names == [("wide.v1", 224), ("small.v2", 224), ("large.v1", 224), ("large.v1", 288)]


few = st.integers(1, 5).map(float)
published = st.builds(
    PublishedModel,
    st.sampled_from("abcdef"),
    st.just(224),
    top1=few,
    gmacs=few,
    samples_per_sec=few,
)


@given(st.lists(published, max_size=12), st.sampled_from(["macs", "time"]))
def test_the_front_equals_the_definition(models, cost):
    def dominates(a: PublishedModel, b: PublishedModel) -> bool:
        dear = {"macs": lambda it: it.gmacs, "time": lambda it: 1 / it.samples_per_sec}[cost]
        level = (dear(a), a.top1) == (dear(b), b.top1)
        return dear(a) <= dear(b) and a.top1 >= b.top1 and not level

    expected = [b for b in models if not any(dominates(a, b) for a in models)]
    found = single_model_front(models, cost)
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    of = (lambda it: it.gmacs) if cost == "macs" else (lambda it: -it.samples_per_sec)
    assert all(of(a) <= of(b) and a.top1 <= b.top1 for a, b in pairwise(found))


@given(st.sets(st.integers(1, 10**6), min_size=2, max_size=30), st.integers(2, 12))
def test_thinning_keeps_the_ends_and_no_more_than_asked(costs, most):
    front = [
        PublishedModel(str(cost), 224, float(place), float(cost), 1.0)
        for place, cost in enumerate(sorted(costs))
    ]
    kept = thinned(front, "macs", most)
    assert len(kept) == min(most, len(front))
    assert kept[0] == front[0] and kept[-1] == front[-1]
    assert [it for it in front if it in kept] == kept


def test_the_front_is_a_pool_of_pretrained_models(tables):
    from cascade_exp.schema.checks import check_members

    config = composed("train", "models=timm_front", f"models.table={tables}", "models.cost=macs")
    members = check_members(config.models)
    assert list(members) == ["small.v2", "large.v1-224px", "large.v1-288px"]
    assert members["large.v1-288px"].model == {
        "family": "timm",
        "architecture": "large.v1",
        "pretrained": True,
        "image_size": 288,
    }
    most = composed(
        "train",
        "models=timm_front",
        f"models.table={tables}/benchmark-gpu.csv",
        "models.most=2",
        "models.members={own: {family: timm, architecture: resnet18}}",
    )
    assert list(check_members(most.models)) == ["small.v2", "large.v1", "own"]


def test_the_command_prints_csv_alone(tables, capfd):
    assert main([f"tables={tables}", "benchmark=benchmark-gpu.csv", "cost=time", "most=2"]) == 0
    out, err = capfd.readouterr()
    assert out == (
        "name,img_size,top1,gmacs,samples_per_sec\n"
        "wide.v1,224,71.0,2.0,2000.0\n"
        "large.v1,288,81.0,13.0,50.0\n"
    )
    assert err == "2 of 5 models\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tables=/no/where"], "/no/where: no such folder"),
        (["tables={tables}", "benchmark=none.csv"], "none.csv: cannot be read"),
        (["tables={tables}", "cost=mac"], "cost=mac: expected one of macs, time"),
        (["tables={tables}", "most=1"], "most=1: expected at least 2"),
        (["tables={tables}", "result=x"], "result: no such key"),
        (["cost=macs"], "tables: missing"),
    ],
)
def test_mistakes_get_one_line_and_no_csv(arguments, said, tables, capfd):
    assert main([argument.format(tables=tables) for argument in arguments]) != 0
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and said in err


def test_bad_tables_are_refused_by_row(tables):
    results = tables / "results-imagenet.csv"
    results.write_text(RESULTS.replace("80.0", "n/a"))
    with pytest.raises(CascadeError, match=r"line 5: top1 'n/a': expected a number above 0"):
        published_models(tables)
    results.write_text("model,img_size,top1\nother.v1,224,70\n")
    with pytest.raises(CascadeError, match="no architecture and image size in common"):
        published_models(tables)
    (tables / "benchmark-cpu.csv").write_text(BENCHMARK)
    with pytest.raises(CascadeError, match=r"has benchmark-cpu\.csv, benchmark-gpu\.csv"):
        published_models(tables)


@pytest.mark.real_data
@pytest.mark.parametrize(("cost", "models", "last"), [("macs", 28, 1906.76), ("time", 26, 10.52)])
def test_the_front_of_timms_tables(cost, models, last):
    if not PUBLISHED.is_dir():
        pytest.skip(f"{PUBLISHED} is not there")
    front = single_model_front(published_models(PUBLISHED, AMPERE), cost)
    assert len(front) == models
    assert (front[-1].gmacs if cost == "macs" else front[-1].samples_per_sec) == last
    assert len(members_of(front)) == models


@pytest.mark.slow
def test_the_command_as_it_is_typed(tables):
    command = python("-m", "cascade_exp.models.front", f"tables={tables}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 4
