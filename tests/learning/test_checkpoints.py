"""Checkpoints are whole or absent, and damaged ones are noticed."""

import pytest
import torch

from cascade_exp.errors import CascadeError
from cascade_exp.learning.checkpoints import (
    CheckedCheckpointIO,
    check_checkpoint,
    drop_checkpoints,
    usable,
)
from cascade_exp.learning.fit import checkpoint_to_resume

STATE = {"state_dict": {"w": torch.arange(1000.0)}, "epoch": 3}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "checkpoints" / "m" / "last.ckpt"
    CheckedCheckpointIO().save_checkpoint(STATE, path)
    return path


def test_what_was_saved_is_loaded(saved):
    found = CheckedCheckpointIO().load_checkpoint(saved, weights_only=True)
    assert found["epoch"] == 3 and torch.equal(found["state_dict"]["w"], STATE["state_dict"]["w"])
    assert usable(saved)


def test_every_flipped_byte_is_noticed(saved):
    whole = saved.read_bytes()
    for place in range(0, len(whole), 97):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        assert not usable(saved), place
        with pytest.raises(CascadeError, match=r"last\.ckpt: damaged"):
            CheckedCheckpointIO().load_checkpoint(saved)


@pytest.mark.parametrize("with_sum", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_half_a_checkpoint_is_none(saved, share, with_sum):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    if not with_sum:
        saved.with_name("last.ckpt.sha256").unlink()
    assert not usable(saved)
    with pytest.raises(CascadeError, match=r"last\.ckpt: "):
        checkpoint_to_resume(str(saved.parents[2]), saved.parents[2], "m")


def test_a_save_that_fails_leaves_the_one_before(saved, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"No space left on device.*last\.ckpt"):
        CheckedCheckpointIO().save_checkpoint(STATE, saved)
    assert saved.read_bytes() == before and usable(saved)
    assert sorted(p.name for p in saved.parent.iterdir()) == ["last.ckpt", "last.ckpt.sha256"]


def test_a_kill_between_checksum_and_rename_leaves_a_usable_one(saved):
    old = saved.read_bytes()
    (saved.parent / ".last.ckpt.abcd.tmp").write_bytes(b"half")
    CheckedCheckpointIO().save_checkpoint({**STATE, "epoch": 4}, saved)
    assert not list(saved.parent.glob(".*"))
    saved.write_bytes(old)  # the checksum was written, the file was not yet renamed
    assert usable(saved)
    CheckedCheckpointIO().remove_checkpoint(saved)
    assert not list(saved.parent.iterdir())


class _Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_a_checkpoint_that_would_execute_code_is_refused_in_one_line(tmp_path, capsys):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": _Evil()}, path)
    with pytest.raises(CascadeError, match="weights_only=True") as error:
        check_checkpoint(path)
    assert "\n" not in str(error.value) and "executed" not in capsys.readouterr().out


def test_checkpoints_go_and_what_else_is_there_stays(tmp_path):
    folder = tmp_path / "checkpoints" / "m"
    for name in ("best", "heads/last"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        CheckedCheckpointIO().save_checkpoint({"state": 1}, folder / f"{name}.ckpt")
    (folder / "fit-profile.txt").write_text("x")
    other = tmp_path / "checkpoints" / "other" / "last.ckpt"
    other.parent.mkdir()
    CheckedCheckpointIO().save_checkpoint({"state": 1}, other)
    drop_checkpoints(folder)
    assert [path.name for path in folder.iterdir()] == ["fit-profile.txt"]
    assert usable(other)
    (folder / "fit-profile.txt").unlink()
    drop_checkpoints(folder)
    drop_checkpoints(other.parent)
    assert not (tmp_path / "checkpoints").exists()
    drop_checkpoints(folder)  # nothing there: nothing to do
