"""``python -m cascade_exp.predict``: every input format, what is refused, and runs continued."""

import csv
import gzip
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cascade_exp import Cascade
from cascade_exp.jobs.commands import read_options
from cascade_exp.tools import predict as command
from cascade_exp.tools.answer_files import unfinished
from cascade_exp.tools.predict import Options, main
from tests.runtime.making import images, texts
from tests.tools.killing import MODES, kill_and_compare

ADDED = ["answer", "confidence", "exit", "cost"]


def read(path: Path, delimiter: str = ",") -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_text(), newline=""), delimiter=delimiter))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def answers_of(bundle: Path, inputs: list) -> list[list[str]]:
    found = Cascade.load(bundle).predict(inputs, batch_size=32, chunk_size=1024)
    rows = zip(
        found.name, found.confidence.tolist(), found.exit_name, found.cost.tolist(), strict=True
    )
    return [[name, repr(confidence), exit, repr(cost)] for name, confidence, exit, cost in rows]


@pytest.fixture
def said(capsys):
    def run(*arguments: object, status: int = 0) -> str:
        assert main([str(a) for a in arguments]) == status
        shown = capsys.readouterr()
        if status:
            assert shown.err.startswith("Error: ") or "Error: " in shown.err
            assert "Traceback" not in shown.err
        return shown.err if status else shown.out

    return run


def test_a_csv_gets_four_columns_and_a_table_of_stages(text_bundle, reviews, said):
    output = reviews.with_name("answers.csv")
    shown = said(f"cascade={text_bundle}", f"input={reviews}", f"output={output}")
    rows = read(output)
    assert list(rows[0]) == ["id", "text", *ADDED]
    assert [row["id"] for row in rows] == [str(i) for i in range(100)]
    inputs = [text for text, _ in texts(100, 7).inputs]
    assert [row["text"] for row in rows] == inputs
    assert [[row[name] for name in ADDED] for row in rows] == answers_of(text_bundle, inputs)
    exits = [row["exit"] for row in rows]
    assert set(exits) == {"one", "two", "three"}
    for stage in ("one", "two", "three"):
        line = next(line for line in shown.splitlines() if line.startswith(f"{stage} "))
        assert str(exits.count(stage)) in line.split()
    mean = np.mean([float(row["cost"]) for row in rows])
    assert f"mean cost {mean:.3g} layers per input" in shown
    assert f"{output}: 100 answers" in shown
    assert names(output.parent) == ["answers.csv", "reviews.csv"]


def test_every_format_gives_the_same_answers(text_bundle, tmp_path, said):
    inputs = [text for text, _ in texts(30, 7).inputs]
    expected = answers_of(text_bundle, inputs)
    rows = [{"text": text, "n": i} for i, text in enumerate(inputs)]
    (tmp_path / "rows.tsv").write_text(
        "\n".join(["text\tn", *(f"{r['text']}\t{r['n']}" for r in rows)])
    )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "rows.txt").write_text("\n".join(inputs))
    packed = "\n".join(["text;n", *(f"{r['text']};{r['n']}" for r in rows)])
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(packed.encode()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    common = f"cascade={text_bundle}"

    def run(name: str, output: str, *more: str) -> Path:
        said(common, f"input={tmp_path / name}", f"output={tmp_path / output}", *more)
        return tmp_path / output

    tsv = read(run("rows.tsv", "a.tsv"), "\t")
    assert [[row[name] for name in ADDED] for row in tsv] == expected
    assert [row["n"] for row in tsv] == [str(i) for i in range(30)]
    lines = [json.loads(line) for line in run("rows.jsonl", "b.jsonl").read_text().splitlines()]
    assert [[str(row[name]) for name in ADDED] for row in lines] == expected
    assert [row["n"] for row in lines] == list(range(30))
    text = read(run("rows.txt", "c.csv"))
    assert [[row[name] for name in ADDED] for row in text] == expected
    gz = read(run("rows.csv.gz", "d.csv", "separator=semicolon"), ";")
    assert [[row[name] for name in ADDED] for row in gz] == expected
    table = pq.read_table(run("rows.parquet", "e.parquet"))
    assert table.schema.field("n").type == pa.int64()
    found = [[str(row[name]) for name in ADDED] for row in table.to_pylist()]
    assert found == expected
    assert [row["n"] for row in table.to_pylist()] == list(range(30))
    assert [[row[name] for name in ADDED] for row in read(run("rows.parquet", "f.csv"))] == expected


def test_pictures_of_a_folder_and_of_a_table(image_bundle, tmp_path, said):
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    pictures = images(12, 9).inputs
    files = [f"{'more/' * (i % 2)}{i:02}.png" for i in range(12)]
    for name, pixels in zip(files, pictures, strict=True):
        Image.fromarray(pixels[..., 0]).save(folder / name)
    (folder / "99.png").write_bytes(b"no picture")
    said(f"cascade={image_bundle}", f"input={folder}", f"output={tmp_path / 'a.csv'}")
    rows = read(tmp_path / "a.csv")
    assert [row["file"] for row in rows] == sorted(files)
    expected = dict(zip(files, answers_of(image_bundle, list(pictures)), strict=True))
    assert all([row[name] for name in ADDED[::2]] == expected[row["file"]][::2] for row in rows)
    (bad,) = read(tmp_path / "a.rejects.csv")
    assert bad["row"] == "7" and "99.png: not an image that can be read" in bad["reason"]
    table = folder / "table.csv"
    table.write_text(
        "\n".join(["id,picture", *(f"{i},{name}" for i, name in enumerate(files)), "x,no.png"])
    )
    said(
        f"cascade={image_bundle}", f"input={table}", f"output={tmp_path / 'b.csv'}", "image=picture"
    )
    again = read(tmp_path / "b.csv")
    assert [row["answer"] for row in again] == [expected[name][0] for name in files]
    (bad,) = read(tmp_path / "b.rejects.csv")
    assert bad["row"] == "13" and "no.png" in bad["reason"]


def test_pairs_of_texts_and_columns_of_training(text_bundle, tmp_path, said):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b\nthe film,is great\nit,\n")
    output = tmp_path / "out.csv"
    pair = ("text=a", "text_pair=b")
    said(f"cascade={text_bundle}", f"input={path}", f"output={output}", *pair)
    assert [[r[n] for n in ADDED] for r in read(output)] == answers_of(
        text_bundle, [("the film", "is great")]
    )
    assert read(tmp_path / "out.rejects.csv") == [{"row": "2", "reason": "'b' is empty"}]


def test_malformed_rows_are_set_aside_and_no_other_is(text_bundle, tmp_path, said):
    path = tmp_path / "rows.csv"
    long = "film " * 400_000
    rows = ["id,text", "1,a film", "2", '3,"open', "4,", "5, ", "6,great", f"7,{long}", "8,NaN"]
    path.write_bytes("\n".join(rows).encode() + b"\n9,caf\xe9\n10,dull\n")
    output = tmp_path / "out.csv"
    shown = said(f"cascade={text_bundle}", f"input={path}", f"output={output}", "pool=2")
    found = read_long(output)
    assert [row["id"] for row in found] == ["1", "6", "7", "8", "10"]
    assert found[2]["text"] == long
    rejects = {row["row"]: row["reason"] for row in read(tmp_path / "out.rejects.csv")}
    assert rejects == {
        "2": "1 fields, expected 2",
        "3": "a quotation mark is left open",
        "4": "'text' is empty",
        "5": "'text' is empty",
        "9": "not UTF-8 text; encoding=latin-1 or cp1252?",
    }
    assert f"5 rows could not be answered; in {tmp_path / 'out.rejects.csv'} is why" in shown


def read_long(path: Path) -> list[dict]:
    before = csv.field_size_limit(2**30)
    try:
        return read(path)
    finally:
        csv.field_size_limit(before)


def test_rows_of_jsonl_and_parquet_that_hold_no_text(text_bundle, tmp_path, said):
    lines = ['{"text": "great"}', '{"text": 5}', '{"text": null}', '{"other": "a"}', "{", "[]"]
    lines += ['{"text": NaN}', '{"text": "x", "answer": 1}', '{"text": "\\ud800"}', '{"text": "é"}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    said(
        f"cascade={text_bundle}",
        f"input={tmp_path / 'rows.jsonl'}",
        f"output={tmp_path / 'o.jsonl'}",
    )
    answered = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["text"] for row in answered] == ["great", "é"]
    rejects = [json.loads(line) for line in (tmp_path / "o.rejects.jsonl").read_text().splitlines()]
    reasons = {row["row"]: row["reason"] for row in rejects}
    assert set(reasons) == {2, 3, 4, 5, 6, 7, 8, 9}
    assert reasons[2] == "'text' is 5, expected text" and reasons[3] == "'text' is empty"
    assert reasons[4] == "no 'text' in it" and reasons[7] == "'text' is empty"
    assert reasons[8] == "has 'answer' already; give prefix=…" and "surrogate" in reasons[9]
    pq.write_table(pa.table({"text": ["great", None]}), tmp_path / "rows.parquet")
    said(
        f"cascade={text_bundle}",
        f"input={tmp_path / 'rows.parquet'}",
        f"output={tmp_path / 'p.parquet'}",
    )
    assert pq.read_table(tmp_path / "p.rejects.parquet").to_pylist() == [
        {"row": 2, "reason": "'text' is empty"}
    ]


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("", [], "the file is empty"),
        ("text,answer\na,b\n", [], "has a column 'answer' already; give prefix="),
        ("body\na\n", [], r"no column 'text' (text)"),
        ("id;text\n1;a\n", [], "fields separated by semicolon? then give separator=semicolon"),
        ("txt\na\n", ["text=tetx"], "no column 'tetx' (text); it has txt"),
        ("text\na\n", ["text_pair=b"], "no column 'b' (text_pair)"),
        ("text\na\n", ["image=b"], "image=b: the cascade reads texts"),
        ("text\na\n", ["endings=[a]"], "endings=['a']: the cascade answers no questions"),
        ("text\na\n", ["batch_size=0"], "batch_size=0: expected 1 or more"),
        ("text\na\n", ["mode=fast"], "mode=fast: expected one of throughput, latency"),
        ("text\na\n", ["mode=latency", "pool=8"], "pool=8: mode=latency works on one row"),
        ("text\na\n", ["wait=1"], "wait=1: expected seconds above 0, with input=-"),
        ("text\na\n", ["encoding=utf-9"], "encoding=utf-9: no such encoding"),
        ("text\na\n", ["separator=ab"], "separator=ab: expected one character"),
        ("text\na\n", ["header=text"], "header=text: expected true, false or a list"),
        ("text\na\n", ["rule=fixd"], "rule=fixd: the bundle"),
        ("text\na\n", ["device=gpu9"], "device=gpu9: "),
        ("text\na\n", ["bach_size=1"], "did you mean 'batch_size'?"),
        ("text\na\n", ["batch_size=big"], "batch_size: "),
        ("text\na\n", ["nonsense"], "nonsense: expected key=value"),
        ("text\na\n", ["output=out.xlsx"], "output: given twice"),
        ("text\n\n \n", [], "none of its 1 rows could be answered (row 1: 'text' is empty)"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    text_bundle, tmp_path, said, content, more, message
):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    output = tmp_path / "out.csv"
    shown = said(f"cascade={text_bundle}", f"input={path}", f"output={output}", *more, status=1)
    assert message in shown.splitlines()[-1]
    if "none of its" not in message:
        assert len(shown.splitlines()) == 1
        assert names(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.xlsx", "expected a file that ends in .csv, .tsv, .jsonl, .parquet"),
        ("out.tsv", "the fields of a tsv file cannot hold tabs"),
        ("there.csv", "there.csv: is already there; remove it, or give another output="),
        ("first.csv", "first.rejects.csv: is already there"),
        ("folder.csv", "is a folder, expected a file"),
        ("file/out.csv", "Not a directory"),
    ],
)
def test_outputs_that_cannot_be_written(text_bundle, reviews, said, output, message):
    home = reviews.parent
    for name in ("there.csv", "first.rejects.csv", "file"):
        (home / name).write_text("mine")
    (home / "folder.csv").mkdir()
    before = names(home)
    given = (f"cascade={text_bundle}", f"input={reviews}", f"output={home / output}")
    assert message in said(*given, status=1)
    assert names(home) == before and (home / "there.csv").read_text() == "mine"


@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(text_bundle, reviews, said):
    folder = reviews.parent / "locked"
    folder.mkdir(mode=0o500)
    given = (f"cascade={text_bundle}", f"input={reviews}", f"output={folder / 'out.csv'}")
    assert "Permission denied" in said(*given, status=1)


def test_jsonl_into_columns_and_other_clashes(text_bundle, image_bundle, reviews, said):
    home = reviews.parent
    (home / "rows.jsonl").write_text('{"text": "a"}\n')
    common = (f"cascade={text_bundle}", f"input={home / 'rows.jsonl'}")
    assert "give a .jsonl" in said(*common, f"output={home / 'o.csv'}", status=1)
    given = (f"cascade={image_bundle}", f"input={reviews}", f"output={home / 'o.csv'}")
    assert "no column 'file' (image)" in said(*given, status=1)
    assert "text=id: the cascade reads pictures" in said(*given, "text=id", status=1)
    (home / "p.png").write_bytes(b"")
    folder = (f"cascade={text_bundle}", f"input={home}", f"output={home / 'o.csv'}")
    assert "a folder, and the cascade reads texts" in said(*folder, status=1)
    assert "no cascade here" in said(
        f"cascade={home}", f"input={reviews}", "output=o.csv", status=1
    )
    assert "cascade: missing" in said(f"input={reviews}", status=1)


def test_prefix(text_bundle, tmp_path, said):
    (tmp_path / "rows.csv").write_text("text,answer\ngreat,yes\n")
    given = (
        f"cascade={text_bundle}",
        f"input={tmp_path / 'rows.csv'}",
        f"output={tmp_path / 'o.csv'}",
    )
    said(*given, "prefix=my_")
    (row,) = read(tmp_path / "o.csv")
    assert list(row) == ["text", "answer", *(f"my_{name}" for name in ADDED)]
    assert row["answer"] == "yes" and row["my_answer"] in ("bad", "good")


class Pipe(io.TextIOWrapper):
    """Standard input of some bytes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BufferedReader(io.BytesIO(content)))


@pytest.mark.parametrize("mode", [["mode=latency"], ["wait=0.05", "pool=1000"], ["pool=3"]])
def test_standard_input_to_standard_output(text_bundle, monkeypatch, capfdbinary, mode):
    inputs = [text for text, _ in texts(7, 7).inputs]
    content = "\n".join([*inputs[:3], "", *inputs[3:]])
    monkeypatch.setattr(sys, "stdin", Pipe(content.encode()))
    out, err = io.BytesIO(), io.BytesIO()
    for name, stream in (("stdout", out), ("stderr", err)):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, write_through=True))
    status = main([f"cascade={text_bundle}", "input=-", "format=txt", "output=-", *mode])
    found = list(csv.DictReader(io.StringIO(out.getvalue().decode())))
    assert status == 0 and [row["text"] for row in found] == inputs
    alone = [Cascade.load(text_bundle).predict([text]).name[0] for text in inputs]
    assert [row["answer"] for row in found] == alone
    assert b"4,'text' is empty" in err.getvalue()


class Stopped(Exception):
    pass


def stop_after(monkeypatch, groups: int) -> None:
    """Have the prediction end by an error once so many groups are written."""
    original = command._Work.answer
    count = iter(range(groups))

    def answer(self, group) -> None:
        if next(count, None) is None:
            raise Stopped
        original(self, group)

    monkeypatch.setattr(command._Work, "answer", answer)


@pytest.fixture
def stopped(text_bundle, reviews, monkeypatch):
    """An output stopped after three of its seven groups, and the command that continues it."""
    given = [f"cascade={text_bundle}", f"input={reviews}", "pool=16", "batch_size=8"]
    content = reviews.read_text().replace("\n20,", '\n20"x",').replace("\n70,", "\n70,,")
    reviews.write_text(content)
    whole = reviews.with_name("whole.csv")
    assert main([*given, f"output={whole}"]) == 0
    output = reviews.with_name("out.csv")
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 3)
        main([*given, f"output={output}"])
    return [*given, f"output={output}"], output, whole


def equal(output: Path, whole: Path) -> None:
    assert output.read_bytes() == whole.read_bytes()
    rejects = [path.with_name(f"{path.stem}.rejects.csv").read_bytes() for path in (output, whole)]
    assert rejects[0] == rejects[1] and len(rejects[0].splitlines()) == 2
    assert not unfinished(output).exists()


def test_a_stopped_run_continues_where_it_was(stopped, capsys):
    arguments, output, whole = stopped
    assert not output.exists()
    assert main(arguments) == 0
    assert "continued after row 48" in capsys.readouterr().err
    equal(output, whole)


@pytest.mark.parametrize("name", ["answers", "rejects", "journal"])
@pytest.mark.parametrize("damage", ["cut", "flip", "more", "gone"])
def test_what_is_damaged_is_done_again(stopped, name, damage):
    arguments, output, whole = stopped
    path = unfinished(output) / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        if damage == "cut":
            del content[-3:]
        if damage == "flip":
            content[len(content) * 2 // 3] ^= 1
        if damage == "more":
            content += b"half a l"
        path.write_bytes(content)
    assert main(arguments) == 0
    equal(output, whole)


def test_another_cascade_setting_or_input_is_refused(
    stopped, image_bundle, text_job, tmp_path, capsys
):
    arguments, output, whole = stopped
    reviews = Path(arguments[1].removeprefix("input="))
    for other in ("pool=8", "batch_size=4", "prefix=x"):
        key = other.partition("=")[0]
        changed = [a for a in arguments if not a.startswith(f"{key}=")] + [other]
        assert main(changed) == 1
        assert f"begun with {key}=" in capsys.readouterr().err
    from cascade_exp.tools.bundle import write_bundle
    from tests.runtime.test_cascade import evaluated

    write_bundle(evaluated(text_job, tmp_path / "job", ["one", "three"]), tmp_path / "other")
    assert main([f"cascade={tmp_path / 'other'}", *arguments[1:]]) == 1
    assert "begun with cascade=" in capsys.readouterr().err
    content = reviews.read_text()
    reviews.write_text(content.replace("\n5,", "\n5,a "))
    assert main(arguments) == 1
    assert "its first 48 rows have changed" in capsys.readouterr().err
    reviews.write_text("\n".join(content.splitlines()[:20]))
    assert main(arguments) == 1
    assert "its first 48 rows have changed" in capsys.readouterr().err
    reviews.write_text(content)
    key = unfinished(output) / "key.json"
    kept = key.read_text()
    key.write_text(kept.replace('"pool": 16', '"pool": 8'))
    assert main(arguments) == 1
    assert "key.json: damaged" in capsys.readouterr().err
    key.write_text(kept)
    assert main(arguments) == 0
    equal(output, whole)


def test_two_processes_do_not_write_one_output(stopped, capsys):
    from cascade_exp.atomic import locked

    arguments, output, whole = stopped
    with locked(unfinished(output) / ".lock", wait=False) as mine:
        assert mine
        assert main(arguments) == 1
    assert "another process is writing this output" in capsys.readouterr().err
    assert main(arguments) == 0
    equal(output, whole)


def test_a_kill_while_files_are_put_in_place(stopped, monkeypatch):
    from cascade_exp.tools.answer_forms import SeparatedForm

    arguments, output, whole = stopped
    original = SeparatedForm.finish

    def finish(self, working, target):
        original(self, working, target)
        raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(SeparatedForm, "finish", finish)
        main(arguments)
    assert output.with_name("out.rejects.csv").exists() and not output.exists()
    assert main(arguments) == 0
    equal(output, whole)


def test_later_stages_run_full_batches(text_bundle, reviews, monkeypatch):
    """Survivors of many batches are pooled: all batches of a stage are full but its last."""
    from cascade_exp.runtime.chunk import Chunk

    sizes: list[list[int]] = []
    original = Chunk.batches

    def batches(self, reader, rows):
        sizes.append([])
        for at, batch in original(self, reader, rows):
            sizes[-1].append(len(at))
            yield at, batch

    monkeypatch.setattr(Chunk, "batches", batches)
    given = [f"cascade={text_bundle}", f"input={reviews}", "batch_size=8"]
    assert main([*given, "pool=100", f"output={reviews.with_name('a.csv')}"]) == 0
    assert len(sizes) == 3 and all(size == 8 for stage in sizes for size in stage[:-1])
    pooled = sum(map(len, sizes))
    sizes.clear()
    assert main([*given, "pool=8", f"output={reviews.with_name('b.csv')}"]) == 0
    assert sum(map(len, sizes)) > pooled
    exits = [[row["exit"] for row in read(reviews.with_name(f"{name}.csv"))] for name in "ab"]
    assert exits[0] == exits[1]


def test_progress_off_a_terminal_is_a_line_per_so_many_rows(text_bundle, reviews, capsys):
    given = [f"cascade={text_bundle}", f"input={reviews}", f"output={reviews.with_name('a.csv')}"]
    assert main([*given, "pool=10", "every=30"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if " rows: " in line]
    assert [line.split()[0] for line in lines] == ["30", "60", "90"]
    assert all("one " in line and "three " in line and "%" in line for line in lines)


def test_values_of_text_are_taken_as_they_stand():
    given = ["cascade=1", "input=-", "output=no.csv", "text=yes", "endings=[a,b]", "text_pair=null"]
    options = read_options(given, Options)
    assert (options.cascade, options.input, options.text) == ("1", "-", "yes")
    assert options.endings == ["a", "b"] and options.text_pair is None


def test_help_explains_every_key(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(
        f"\n    {name}:" in shown
        for name in vars(read_options(["cascade=a", "input=b", "output=c.csv"], Options))
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_killed_predictions_continue_to_the_same_bytes(text_bundle, tmp_path, mode):
    size = {"throughput": 3000, "latency": 300}[mode]
    kill_and_compare(text_bundle, tmp_path, mode, kills=3, rows=size, seed=0)
