"""Files as people have them: compressed, without a header, with other separators and encodings."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from cascade_exp.data.table_files import TableFormat, read_table
from cascade_exp.errors import CascadeError

WANTED = {"data.text": "text", "data.label": "label"}
ROWS = b"text,label\nfine,good\ndull,bad\n"
PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def read(path: Path, wanted=WANTED, **form):
    return read_table(path, "data.train_file", wanted, TableFormat(**form))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("ending", [*PACK, ".GZ", ".Zst"])
def test_compressed_files_are_read(tmp_path: Path, ending):
    pack = PACK[ending.lower()]
    path = write(tmp_path / f"x.csv{ending}", pack(ROWS))
    assert read(path).columns == {"text": ["fine", "dull"], "label": ["good", "bad"]}
    lines = b'{"text":"fine","label":"good"}\n'
    path = write(tmp_path / f"x.JSONL{ending}", pack(lines))
    assert read(path).columns == {"text": ["fine"], "label": ["good"]}
    half = write(tmp_path / f"y.csv{ending}", pack(ROWS)[:-7])
    with pytest.raises(
        CascadeError, match=r"y\.csv\.\w+: (not a .* file that can be|the file is e)"
    ):
        read(half)
    with pytest.raises(CascadeError, match=rf"not a {ending.lower()} file that can be read"):
        read(write(tmp_path / f"z.csv{ending}", ROWS))


def test_endings_may_be_in_upper_case(tmp_path: Path):
    assert read(write(tmp_path / "x.CSV", ROWS)).columns["text"] == ["fine", "dull"]
    tsv = ROWS.replace(b",", b"\t")
    assert read(write(tmp_path / "x.Tsv", tsv)).columns["text"] == ["fine", "dull"]


@pytest.mark.parametrize("name", ["semicolon", ";", "pipe", "|", "tab", "\t"])
def test_any_separator_can_be_given(tmp_path: Path, name):
    sign = {"semicolon": ";", "pipe": "|", "tab": "\t"}.get(name, name)
    path = write(tmp_path / "x.csv", ROWS.replace(b",", sign.encode()))
    assert read(path, separator=name).columns["label"] == ["good", "bad"]
    word = {";": "semicolon", "|": "pipe", "\t": "tab"}[sign]
    with pytest.raises(
        CascadeError, match=rf"fields separated by {word}\? .*data\.separator={word}"
    ):
        read(path)


def test_a_separator_is_one_character(tmp_path: Path):
    with pytest.raises(
        CascadeError, match=r"data\.separator=\|\|: expected one character, or comma"
    ):
        TableFormat(separator="||")


def test_files_without_a_header(tmp_path: Path):
    path = write(tmp_path / "x.tsv", "3\tWall St. bears claw back\n4\tan economy of its own kind\n")
    with pytest.raises(
        CascadeError, match=r"is the first row no header\? then give data\.header=fal"
    ):
        read(path)
    numbered = read(path, {"data.label": "1", "data.text": "2"}, header=False)
    assert numbered.columns["1"] == ["3", "4"] and numbered.place(0).endswith("x.tsv row 1")
    named = read(path, header=["label", "text"])
    assert named.columns["label"] == ["3", "4"]
    with pytest.raises(CascadeError, match=r"2 columns; data\.header names 3"):
        read(path, header=["label", "title", "text"])


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(CascadeError, match="two columns are called 'text'"):
        read(write(tmp_path / "x.csv", "text,text,label\na,b,c\n"))


@pytest.mark.parametrize(("encoding", "guess"), [("latin-1", "latin-1"), ("utf-16", "utf-16")])
def test_other_encodings(tmp_path: Path, encoding, guess):
    path = write(tmp_path / "x.csv", "text,label\ncafé,ok\n".encode(encoding))
    assert read(path, encoding=encoding).columns["text"] == ["café"]
    with pytest.raises(CascadeError, match=rf"not UTF-8 text: .*; try data\.encoding={guess}"):
        read(path)
    with pytest.raises(CascadeError, match=r"data\.encoding=utf-88: no such encoding"):
        TableFormat(encoding="utf-88")


def test_escaped_quotes_and_separators(tmp_path: Path):
    path = write(tmp_path / "x.csv", 'text,label\n"a \\"dull\\" film, really",bad\nb\\, c,good\n')
    assert read(path, escape="backslash").columns["text"] == ['a "dull" film, really', "b, c"]


def test_a_missing_column_names_its_key(tmp_path: Path):
    path = write(tmp_path / "x.csv", "text,class\na,b\n")
    with pytest.raises(
        CascadeError, match=r"no column 'label' \(data\.label\); it has text, class; g"
    ):
        read(path)


def test_names_of_columns_may_have_blanks_around_them(tmp_path: Path):
    assert set(read(write(tmp_path / "x.csv", "text , label\na,b\n")).columns) == {"text", "label"}
