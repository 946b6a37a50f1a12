"""What examples look like, from a table beside their logits."""

import io
import struct
import zlib

import pytest
from PIL import Image

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.previews import (
    SIDE,
    read_class_names,
    read_previews,
    write_examples,
)


def test_texts_that_a_job_kept_are_read_back(tmp_path):
    texts = [(3, 'commas, "quotes"\nand lines', ""), (7, "ß", "")]
    write_examples(tmp_path, "report", texts)
    found = read_previews(tmp_path / "recordings", "report")
    assert [found(id) for id, *_ in texts] == [text for _, text, _ in texts]
    assert found(4) is None
    assert read_previews(tmp_path / "recordings", "selection") is None
    write_examples(tmp_path, "report", [])
    assert read_previews(tmp_path / "recordings", "report") is None


def test_a_table_among_the_recordings_wins_and_pictures_are_by_its_folder(tmp_path):
    write_examples(tmp_path, "report", [(0, "the job's", "")])
    split = tmp_path / "recordings" / "report"
    split.mkdir(parents=True)
    Image.new("RGB", (300, 150), "red").save(split / "a.jpg")
    (split / "examples.csv").write_text("id,picture,text\n0,a.jpg,\n1,,own\n2,,\n")
    found = read_previews(tmp_path / "recordings", "report")
    with Image.open(io.BytesIO(found(0))) as picture:
        assert (picture.format, picture.size) == ("PNG", (SIDE, SIDE // 2))
    assert (found(1), found(2)) == ("own", None)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,text\n1,x\n", "no column 'id'"),
        ("id,picture\n1,../../private.png\n", "line 2: picture .* is outside of"),
        ("id,picture\n1,/etc/private.png\n", "line 2: picture .* is outside of"),
        ("id,picture\n1,link.png\n", "line 2: picture .* is outside of"),
        ("id,text\n1\n", "line 2 has 1 fields"),
    ],
)
def test_refusals(tmp_path, table, said):
    split = tmp_path / "rec" / "report"
    split.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    (split / "link.png").symlink_to(tmp_path / "private.png")
    (split / "examples.csv").write_text(table)
    with pytest.raises(CascadeError, match=said):
        read_previews(tmp_path / "rec", "report")


def test_ids_may_be_text(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "examples.csv").write_text("id,text\nAIME_1,one\n2,two\n")
    found = read_previews(tmp_path, "report")
    assert (found("AIME_1"), found(2), found("2"), found("AIME_2")) == ("one", "two", "two", None)


def _bomb(path) -> None:
    """A picture of 400 million pixels in some kB."""
    size, rows = 20_000, zlib.compress(bytes(20_001) * 20_000, 9)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
        for kind, content in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))


@pytest.mark.parametrize(
    "make",
    [lambda p: None, lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), _bomb, lambda p: p.mkdir()],
)
def test_a_picture_that_cannot_be_read_is_left_out(tmp_path, caplog, make):
    (tmp_path / "report").mkdir()
    make(tmp_path / "report" / "a.png")
    (tmp_path / "report" / "examples.csv").write_text("id,picture,text\n5,a.png,words\n")
    assert read_previews(tmp_path, "report")(5) == "words"
    assert "a.png is left out" in caplog.text


def test_class_names_are_a_line_each(tmp_path):
    assert read_class_names(tmp_path, 2) is None
    (tmp_path / "classes.txt").write_text("käse, rot\ndog\n", encoding="utf-8")
    assert read_class_names(tmp_path, 2) == ["käse, rot", "dog"]
    assert read_class_names(tmp_path, 1) == ["käse, rot", "dog"]
    with pytest.raises(CascadeError, match=r"classes.txt: 2 lines, expected .* of 3 classes"):
        read_class_names(tmp_path, 3)
    (tmp_path / "classes.txt").write_bytes(b"\xff\n")
    with pytest.raises(CascadeError, match="expected UTF-8"):
        read_class_names(tmp_path, 1)
