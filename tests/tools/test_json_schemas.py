"""The committed JSON schemas: what the types give now, and true of real results folders."""

import copy
import json

import pytest
from jsonschema import Draft202012Validator

from cascade_exp.errors import CascadeError
from cascade_exp.report.results.files import read_results
from cascade_exp.report.results.operating_point import read_operating_point
from cascade_exp.tools.json_schemas import json_schemas, main
from tests.docs.commands import ROOT
from tests.recordings.making import make_recordings
from tests.running import run

FOLDER = ROOT / "docs" / "schemas"
FILES = ("summary", "operating_point")
TIERS = ("cascade=tiers", "metric=vote", "cascade.tiers={edge:[a,b],cloud:[c]}")
JOBS = {
    "search": ("search.max_stages=3",),
    "settings of the metric": ("metric=topk_sum", "metric.k=2", "calibration=temperature"),
    "learned": ("metric=learned",),
    "tiers": TIERS,
    "an infinite threshold": (
        "cascade=stages",
        "cascade.stages=[a,c]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[inf]",
    ),
    "nothing feasible": ("threshold.rules=[target_cost]", "threshold.target_cost=0.5"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    make_recordings(folder, {"a": 1.0, "b": 2.0, "c": 9.0}, size=60)
    return folder


@pytest.fixture(scope="module", params=JOBS)
def results(request, recordings, tmp_path_factory):
    """The results folder of a real evaluation."""
    job = tmp_path_factory.mktemp("job")
    quick = ("logger=none", "analyses=false", "plots=false", "bootstrap.resamples=20")
    run("evaluate", job, f"recordings={recordings}", *quick, *JOBS[request.param])
    return job / "results"


def validator(name):
    return Draft202012Validator(json.loads((FOLDER / f"{name}.schema.json").read_text()))


def found_in(results, name):
    return json.loads((results / f"{name}.json").read_text())


def test_the_committed_schemas_are_those_of_the_types():
    assert {path.name for path in FOLDER.iterdir()} == set(json_schemas())
    for name, schema in json_schemas().items():
        assert json.loads((FOLDER / name).read_text()) == schema, (
            f"docs/schemas/{name} is not what the types say now: run "
            "`uv run python -m cascade_exp.tools.json_schemas` and commit it"
        )
        Draft202012Validator.check_schema(schema)


def test_the_command_writes_them(tmp_path, capsys):
    assert main([f"output={tmp_path}"]) == 0
    for name in json_schemas():
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
    assert main(["outptu=x"]) == 1
    assert "outptu" in capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_what_an_evaluation_writes_is_valid(results, name):
    validator(name).validate(found_in(results, name))
    read_results(results)
    assert read_operating_point(results)["rule"] == found_in(results, "summary")["chosen"]


READ = {"summary": read_results, "operating_point": read_operating_point}


@pytest.mark.parametrize("name", FILES)
def test_schema_and_reader_refuse_the_same_files(results, name):
    """Every key away, and every value of another type."""
    whole, valid, path = found_in(results, name), validator(name), results / f"{name}.json"
    schema = json_schemas()[f"{name}.schema.json"]
    layouts = [schema, *schema["$defs"].values()]
    required = set().union(*(layout.get("required", []) for layout in layouts))
    untouched = path.read_bytes()
    try:
        for key in whole:
            for change in ("missing", "other type"):
                damaged = copy.deepcopy(whole)
                if change == "missing":
                    if key not in required:
                        continue
                    del damaged[key]
                elif key in schema.get("properties", whole):
                    damaged[key] = 0.5 if not isinstance(whole[key], float) else []
                else:
                    continue
                path.write_text(json.dumps(damaged))
                assert not valid.is_valid(damaged), (key, change)
                with pytest.raises(CascadeError, match=rf"{name}\.json: .*{key}") as refused:
                    READ[name](results)
                assert "\n" not in str(refused.value)
    finally:
        path.write_bytes(untouched)
