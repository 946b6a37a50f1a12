"""Recorded exits: what is read, and every way in which a folder can be wrong."""

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.exits import ExitRow, network_of
from cascade_exp.recordings.folder import exits_of, open_recordings
from cascade_exp.recordings.write import write_exits
from tests.recordings.making import add_exits, make_recordings

COSTS = {3: {"macs": 3.0, "layers": 3.0}, 6: {"macs": 6.5, "layers": 6.0}}


@pytest.fixture
def folder(tmp_path):
    make_recordings(tmp_path, {"small": 1.0, "large": 9.0})
    add_exits(tmp_path, "net", COSTS)
    return tmp_path


def rewrite(folder, *rows, header="name,exit,layers,macs"):
    (folder / "exits.csv").write_text("\n".join([header, *rows]) + "\n")


def test_exits_are_outputs_of_their_own(folder):
    recordings = open_recordings(folder)
    assert recordings.exits == {"net": (ExitRow(3, COSTS[3]), ExitRow(6, COSTS[6]))}
    assert recordings.split("report").classes == 3
    one = recordings.network("net")
    split = exits_of(one, "report")
    logits = np.load(folder / "report" / "net.npy")
    assert list(split.outputs) == ["net@3", "net@6"]
    for i, output in enumerate(split.outputs.values()):
        assert np.array_equal(output, logits[:, i])
    assert split.called("net@6") == f"{folder / 'report' / 'net.npy'}, exit 6"
    assert one.exit_costs("net", "macs").tolist() == [3.0, 6.5]
    assert network_of("net@6") == network_of("net") == "net"


def test_complete_models_are_what_is_left(folder):
    recordings = open_recordings(folder).complete()
    assert recordings.names == ("small", "large") and not recordings.exits
    assert list(recordings.split("report").outputs) == ["small", "large"]


def test_nothing_left(folder):
    with pytest.raises(CascadeError, match=r"only networks with exits are left.*network=net"):
        open_recordings(folder, include="net").complete()


def test_pool_narrows_exits_too(folder):
    assert not open_recordings(folder, exclude="net").exits


def test_without_exits_the_file_may_be_absent(tmp_path):
    make_recordings(tmp_path, {"small": 1.0})
    assert not open_recordings(tmp_path).exits


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("small", "network=small: a complete model; networks with exits .*: net$"),
        ("ned", r"network=ned: not recorded; .*: net \(did you mean 'net'\?\)"),
    ],
)
def test_networks_that_have_no_exits(folder, name, said):
    with pytest.raises(CascadeError, match=said):
        open_recordings(folder).network(name)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["net,3,3,3", "nett,6,6,6.5"], r"line 3: models.csv lists no model 'nett' \(did you mean"),
        (["net,3,3,3", "net,3,6,6.5"], "line 3: a second exit 3 of net"),
        (["net,6,3,3", "net,3,6,6.5"], "line 3: exit 3 of net after its exit 6; rows stand"),
        (["net,three,3,3", "net,6,6,6"], "line 2 has exit='three'; expected a whole number above"),
        (["net,0,3,3", "net,6,6,6"], "line 2 has exit='0'"),
        (["net,1.5,3,3", "net,6,6,6"], "line 2 has exit='1.5'"),
        (["net,3,3", "net,6,6,6"], "line 2 has 3 fields, expected 4"),
        (["net,3,3,many", "net,6,6,6"], "line 2 has macs='many'; expected a number"),
        (["a/b,3,3,3"], "line 2: the model name 'a/b' holds '/'"),
    ],
)
def test_malformed_rows(folder, rows, said):
    rewrite(folder, *rows)
    with pytest.raises(CascadeError, match=said) as raised:
        open_recordings(folder)
    assert "exits.csv" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("name,layers,macs,x", "no column 'exit' in its first line"),
        ("nome,exit,layers,macs", "no column 'name'"),
        ("name,exit,macs,macs", "the same column twice"),
    ],
)
def test_malformed_headers(folder, header, said):
    rewrite(folder, "net,3,3,3", header=header)
    with pytest.raises(CascadeError, match=said):
        open_recordings(folder)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["net,3,3,3", "net,6,6,3"], "net has macs=3.0 at exit 6, after 3.0 at exit 3; costs are"),
        (["net,3,3,3", "net,6,6,2"], "net has macs=2.0 at exit 6, after 3.0 at exit 3"),
        (["net,3,3,0", "net,6,6,2"], "exit 3 of net has macs=0.0; a cost is a finite number above"),
        (["net,3,3,-1", "net,6,6,2"], "exit 3 of net has macs=-1.0"),
        (["net,3,3,1", "net,6,6,inf"], "exit 6 of net has macs=inf"),
        (["net,3,3,nan", "net,6,6,1"], "exit 3 of net has macs=nan"),
        (["net,3,3,", "net,6,6,1"], "exit 3 of net has no 'macs', .*; known for it: layers"),
    ],
)
def test_costs_that_are_none(folder, rows, said):
    rewrite(folder, *rows)
    with pytest.raises(CascadeError, match=said):
        open_recordings(folder).exit_costs("net", "macs")


def test_other_columns_do_not_matter(folder):
    rewrite(folder, "net,3,9,3", "net,6,6,7")
    assert open_recordings(folder).exit_costs("net", "macs").tolist() == [3, 7]


def test_wrong_number_of_exits(folder):
    rewrite(folder, "net,3,3,3", "net,6,6,6", "net,9,9,9")
    with pytest.raises(CascadeError, match=r"net.npy: 2 exits of net, but exits.csv lists 3"):
        open_recordings(folder).split("report")


def test_exits_that_are_not_listed(folder):
    (folder / "exits.csv").unlink()
    with pytest.raises(CascadeError, match=r"net.npy: float32 .*, as exits.csv lists no exits of"):
        open_recordings(folder).split("report")


def test_listed_exits_without_any(folder):
    np.save(folder / "report" / "net.npy", np.zeros((20, 3)))
    with pytest.raises(CascadeError, match=r"expected .* \[N, exits, K\], as .* lists 2 exits"):
        open_recordings(folder).split("report")


def test_other_numbers_of_examples_and_classes(folder):
    np.save(folder / "report" / "net.npy", np.zeros((19, 2, 3)))
    with pytest.raises(CascadeError, match="19 rows for model net, expected 20"):
        open_recordings(folder).split("report")
    np.save(folder / "report" / "net.npy", np.zeros((20, 2, 4)))
    with pytest.raises(CascadeError, match="model net has 4 classes, small has 3"):
        open_recordings(folder).split("report")


def test_answers_of_a_network_with_exits(folder):
    (folder / "report" / "net.npy").unlink()
    np.savez(
        folder / "report" / "net.answers.npz",
        prediction=np.zeros(20, np.int64),
        confidence=np.zeros(20),
    )
    with pytest.raises(CascadeError, match=r"answers of net, which exits.csv lists"):
        open_recordings(folder).split("report")


def test_what_is_written_is_read(tmp_path):
    make_recordings(tmp_path, {"net": 1.0})
    write_exits(tmp_path, {"net": [{"layers": 1, "macs": 10}, {"layers": 2, "macs": 25}]})
    assert (tmp_path / "exits.csv").read_text().splitlines() == [
        "name,exit,layers,macs,seconds",
        "net,1,1,10,",
        "net,2,2,25,",
    ]
    assert open_recordings(tmp_path).exit_costs("net", "macs").tolist() == [10, 25]
    write_exits(tmp_path, {})
    assert not (tmp_path / "exits.csv").exists()


@pytest.mark.parametrize("part", ["complete", "network"])
@pytest.mark.parametrize("broken", ["net", "small"])
def test_the_whole_pool_is_checked_whatever_part_of_it_runs(folder, part, broken):
    file = folder / "report" / f"{broken}.npy"
    logits = np.load(file)

    def narrowed():
        opened = open_recordings(folder)  # one that is open has read its files
        return opened.complete() if part == "complete" else opened.network("net")

    narrowed().split("report")
    np.save(file, np.concatenate([logits, logits], axis=-1))
    with pytest.raises(CascadeError, match="all models of a pool must name the same classes"):
        narrowed().split("report")
    file.unlink()
    with pytest.raises(CascadeError, match=f"{broken}.npy: missing"):
        narrowed().split("report")


def test_a_table_of_exits_that_is_not_there(folder):
    (folder / "exits.csv").unlink()
    with pytest.raises(CascadeError, match=r"exits.csv: missing; cascade=exits needs it.*layers"):
        open_recordings(folder).network("net")


def test_an_empty_cell_is_no_typing_error(folder):
    rewrite(folder, "net,3,3,3.0", "net,6,6,")
    with pytest.raises(CascadeError, match="exit 6 of net has no 'macs'") as raised:
        open_recordings(folder).exit_costs("net", "macs")
    assert "did you mean" not in str(raised.value)
