"""Rows of files: no row is lost by another one, whatever is wrong with it."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data import row_files
from cascade_exp.data.row_files import open_rows
from cascade_exp.data.table_files import TableFormat
from cascade_exp.errors import CascadeError


def rows_of(path, kind=None, **form):
    return list(open_rows(str(path), TableFormat(prefix="", **form), kind).rows())


def written(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(rows, column="text"):
    return [(row.number, row.reason or row.cells[column]) for row in rows]


def test_rows_are_numbered_below_the_header(tmp_path):
    path = written(tmp_path, '\ufeff id , text\r\n1,a\r\n\r\n2,"b,\r\nc"\r\n3,"d ""e"""\r\n')
    assert texts(rows_of(path)) == [(1, "a"), (2, "b,\r\nc"), (3, 'd "e"')]


def test_malformed_rows_are_set_aside_alone(tmp_path):
    path = written(tmp_path, 'id,text\n1,a\n2\n3,b,c\n4,"d" e\n5,f\n')
    found = texts(rows_of(path))
    assert [found[i] for i in (0, 4)] == [(1, "a"), (5, "f")]
    assert found[1] == (2, "1 fields, expected 2") and found[2] == (3, "3 fields, expected 2")
    assert found[3][1].startswith("not csv: ")


@pytest.mark.parametrize(
    "rest",
    [
        "2,ok\n3,fine\n",  # the file ends within the quotation
        '2,"ok"\n3,"fine"\n',  # the next quotation mark closes it
        '2,ok\n3,"fine"\n',
        '2,ok\n3,"fine",\n',
    ],
)
def test_a_quotation_mark_left_open_costs_one_row(tmp_path, rest):
    found = texts(rows_of(written(tmp_path, f'id,text\n1,"bad\n{rest}')))
    assert found[0][0] == 1 and "a quotation mark is left open" in found[0][1]
    assert found[1] == (2, "ok")
    assert found[2][0] == 3 and ("fine" in found[2][1] or "3 fields" in found[2][1])


def test_a_quotation_mark_left_open_before_very_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(row_files, "LONGEST_ROW", 1000)
    more = "".join(f"{i},text {i}\n" for i in range(2, 2000))
    found = texts(rows_of(written(tmp_path, f'id,text\n1,"bad\n{more}')))
    assert "left open" in found[0][1]
    assert found[1:] == [(i, f"text {i}") for i in range(2, 2000)]


def test_a_quotation_that_swallows_a_row_to_a_wrong_number_of_fields(tmp_path):
    found = texts(rows_of(written(tmp_path, 'id,text\n1,"bad\n2,ok\n3,x","y"\n4,z\n')))
    assert found[0] == (1, "3 fields, expected 2; is a quotation mark left open?")
    assert found[1:] == [(2, "ok"), (3, "3 fields, expected 2"), (4, "z")]


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from([",", ";", "\t"]))
def test_any_csv_is_read_as_it_was_written(tmp_path_factory, cells, separator):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *cells])
    path = written(tmp_path_factory.mktemp("rows"), text.getvalue())
    found = rows_of(path, separator=separator)
    assert [tuple(row.cells.values()) for row in found] == cells


@given(
    st.lists(st.sampled_from(["1,a", '2,"b"', '3,"c', "4", "5,d,e", '6,"f" g', '7,"h\ni"'])),
)
def test_every_good_line_comes_out_whatever_is_around_it(tmp_path_factory, lines):
    """A row that ends in a line of its own and holds no quotation mark is never lost or changed."""
    path = written(tmp_path_factory.mktemp("rows"), "\n".join(["id,text", *lines, ""]))
    found = rows_of(path)
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    if not any('"' in line for line in lines):
        good = [line.split(",") for line in lines if line.count(",") == 1]
        assert [list(row.cells.values()) for row in found if row.cells] == good
    assert all((row.cells is None) != (row.reason is None) for row in found)


def test_bytes_that_are_no_utf_8_cost_one_row(tmp_path):
    path = written(tmp_path, b"id,text\n1,a\n2,caf\xe9\n3,b\n")
    found = texts(rows_of(path))
    assert found == [(1, "a"), (2, row_files.NOT_UTF_8), (3, "b")]
    assert texts(rows_of(path, encoding="latin-1"))[1] == (2, "café")
    lines = written(tmp_path, b"a\ncaf\xe9\nb", "lines.txt")
    assert texts(rows_of(lines)) == [(1, "a"), (2, row_files.NOT_UTF_8), (3, "b")]
    jsons = written(tmp_path, b'{"text": "caf\xe9"}\n{"text": "b"}\n', "rows.jsonl")
    assert texts(rows_of(jsons)) == [(1, row_files.NOT_UTF_8), (2, "b")]


def test_utf_16(tmp_path):
    path = written(tmp_path, "id,text\n1,é\n".encode("utf-16"))
    with pytest.raises(CascadeError, match="not UTF-8 text; try encoding=utf-16"):
        rows_of(path)
    assert texts(rows_of(path, encoding="utf-16")) == [(1, "é")]
    with pytest.raises(CascadeError, match="not ascii text"):
        rows_of(written(tmp_path, "text\né\n"), encoding="ascii")


def test_json_lines(tmp_path):
    lines = ['{"text": "a", "n": 1}', "", "{", "[1]", '{"text": "b"}', "[" * 100_000]
    found = rows_of(written(tmp_path, "\n".join(lines), "rows.jsonl"))
    assert [row.number for row in found] == [1, 3, 4, 5, 6]
    assert found[0].cells == {"text": "a", "n": 1} and found[3].cells == {"text": "b"}
    assert found[1].reason.startswith("not JSON: ")
    assert found[2].reason == "expected an object, found [1]"
    assert found[4].reason.startswith("not JSON: ")


def test_text_lines_tsv_and_headers(tmp_path):
    lines = written(tmp_path, "a\r\n\nb, c", "lines.txt")
    assert texts(rows_of(lines)) == [(1, "a"), (2, ""), (3, "b, c")]
    tsv = written(tmp_path, 'id\ttext\n1\tsay "a\n2\tb\n', "rows.tsv")
    assert texts(rows_of(tsv)) == [(1, 'say "a'), (2, "b")]
    bare = written(tmp_path, "1,a\n2,b\n")
    assert texts(rows_of(bare, header=False), "2") == [(1, "a"), (2, "b")]
    assert texts(rows_of(bare, header=["n", "text"])) == [(1, "a"), (2, "b")]
    with pytest.raises(CascadeError, match="2 columns; header names 1"):
        rows_of(bare, header=["text"])
    with pytest.raises(CascadeError, match="two columns are called 'a'"):
        rows_of(written(tmp_path, "a,a\n1,2\n"))
    escaped = written(tmp_path, 'id,text\n1,"say \\"a\\""\n')
    assert texts(rows_of(escaped, escape="backslash")) == [(1, 'say "a"')]


PACKED = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("ending", PACKED)
def test_packed_files_and_those_cut_short(tmp_path, ending):
    content = "text\n" + "".join(f"text {i * 7919}\n" for i in range(20_000))
    packed = PACKED[ending](content.encode())
    path = written(tmp_path, packed, f"rows.csv{ending}")
    found = rows_of(path)
    assert len(found) == 20_000 and found[-1].cells == {"text": f"text {19_999 * 7919}"}
    opened = open_rows(str(path), TableFormat(), None)
    assert opened.share() <= 1.0 and list(opened.rows()) == found and opened.share() == 1.0
    with pytest.raises(CascadeError, match=f"not a {ending} file that can be read"):
        rows_of(written(tmp_path, packed[: len(packed) // 2], f"cut.csv{ending}"))


def test_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", None, "b"], "n": [1, 2, 3]}), path)
    opened = open_rows(str(path), TableFormat(), None)
    assert opened.total == 3 and opened.columns == ["text", "n"]
    assert [(row.number, row.cells["text"]) for row in opened.rows()] == [
        (1, "a"),
        (2, None),
        (3, "b"),
    ]
    cut = written(tmp_path, path.read_bytes()[:-5], "cut.parquet")
    with pytest.raises(CascadeError, match="not a parquet file that can be read"):
        open_rows(str(cut), TableFormat(), None)


def test_a_folder_of_pictures(tmp_path):
    for name in ("b.png", "a/c.JPG", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    opened = open_rows(str(tmp_path), TableFormat(), None)
    assert [(row.number, row.cells) for row in opened.rows()] == [
        (1, {"file": "a/c.JPG"}),
        (2, {"file": "b.png"}),
    ]
    assert "1 files are no pictures" in opened.notes[0] and "notes.txt" in opened.notes[0]
    (tmp_path / "none").mkdir()
    with pytest.raises(CascadeError, match="no picture in it"):
        open_rows(str(tmp_path / "none"), TableFormat(), None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "", "the file is empty"),
        ("rows.csv", "\n\n", "the file is empty"),
        ("rows.csv.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("rows.jsonl", "", "the file is empty"),
        ("rows.xlsx", "a", "unknown ending '.xlsx'"),
        ("rows", "a", "unknown ending ''"),
        ("rows.csv.gz", "no gzip", "not a .gz file that can be read"),
        ("rows.parquet.gz", "a", "a parquet file is read from its end"),
        ("rows.csv", b"caf\xe9\n1\n", "its first row cannot be read: not UTF-8"),
        ("rows.csv", '"a\nb\n', "its first row cannot be read: a quotation mark"),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, name, content, message):
    with pytest.raises(CascadeError, match=message):
        rows_of(written(tmp_path, content, name))


def test_what_is_not_there(tmp_path):
    with pytest.raises(CascadeError, match="no such file or folder"):
        rows_of(tmp_path / "rows.csv")
    with pytest.raises(CascadeError, match=r"give format=csv\|tsv"):
        rows_of("-")
    with pytest.raises(CascadeError, match="did you mean 'csv'"):
        rows_of(tmp_path, "csvv")


def test_memory_is_bounded_by_the_row(tmp_path):
    """A csv of 60 MB is read with a few; counted by what Python allocates at most."""
    import tracemalloc

    path = tmp_path / "rows.csv"
    with path.open("w") as file:
        file.write("text\n")
        for _ in range(60):
            file.write("x" * 999_999 + "\n")
    tracemalloc.start()
    count = sum(row.cells is not None for row in open_rows(str(path), TableFormat(), None).rows())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60 and most < 20e6


def test_json_round_trip_of_numbers(tmp_path):
    row = {"text": "a", "n": 12345678901234567890, "x": 0.1, "deep": {"y": [None, True]}}
    (found,) = rows_of(written(tmp_path, json.dumps(row), "rows.jsonl"))
    assert found.cells == row
