"""Reading the arrays of a recordings folder, whatever is in the files.

Headers are read before anything is allocated, checksums are verified where they are stored, and
whatever numpy, zipfile or zlib raise comes out as one line that names the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError, one_line
from cascade_exp.recordings.about import check_array

Ids = NDArray[np.int64] | NDArray[np.str_]
LONGEST_ID = 4096  # bytes of a text id, as numpy stores it


def load_array(path: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file, memory-mapped.

    Raises:
        CascadeError: if the file is missing, damaged, or no array of numbers.
    """
    if not path.is_file():
        raise CascadeError(f"{path}: missing")
    try:
        with np.errstate(all="ignore"):  # of a size that overflows
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header makes numpy raise a dozen kinds of errors
        raise CascadeError(
            f"{path}: truncated or no .npy array of numbers ({one_line(error)})"
        ) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise CascadeError(f"{path}: an archive, expected one .npy array")
    check_array(path)
    return array


def load_integers(path: Path) -> NDArray[np.int64]:
    """The integers of a ``.npy`` file, int64 [N].

    Raises:
        CascadeError: if it holds something else.
    """
    array = load_array(path)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise CascadeError(
            f"{path}: {array.dtype} of shape {list(array.shape)}, expected int64 of shape [N]"
        )
    return np.asarray(array, dtype=np.int64)


def load_ids(path: Path) -> Ids:
    """The ids of a ``.npy`` file: int64 [N], or text [N].

    Raises:
        CascadeError: if it holds something else.
    """
    return as_ids(load_array(path), str(path))


def as_ids(array: NDArray[Any], where: str) -> Ids:
    """``array`` as ids: integers as int64, text as text.

    Raises:
        CascadeError: if it is something else.
    """
    if array.ndim == 1 and array.dtype.kind in "iu":
        return np.asarray(array, dtype=np.int64)
    if array.ndim == 1 and array.dtype.kind in "US" and array.dtype.itemsize <= LONGEST_ID:
        try:
            return np.asarray(array).astype(np.str_)
        except UnicodeDecodeError as error:
            raise CascadeError(f"{where}: {error}; expected ids in ASCII or as text") from None
    raise CascadeError(
        f"{where}: {array.dtype} of shape {list(array.shape)}, expected integers or text of "
        "shape [N]"
    )


def load_members(
    path: Path, needed: Mapping[str, str], optional: Mapping[str, str], size: int, model: str
) -> dict[str, NDArray[Any]]:
    """Arrays [``size``] out of an ``.npz`` archive, by name.

    Args:
        needed: by name, the kinds of dtype (``numpy.dtype.kind``) that the array may have.
        optional: likewise, of arrays that may be absent.
        model: whose they are, for messages.

    Raises:
        CascadeError: if the archive is damaged, lacks an array, or holds one of another shape or
            type; that is seen in its header, before any of it is decompressed.
    """
    if not path.is_file():
        raise CascadeError(f"{path}: missing")
    check_array(path)
    try:
        with zipfile.ZipFile(path) as archive:
            there = set(archive.namelist())
            found = {}
            for name, kinds in {**needed, **optional}.items():
                if f"{name}.npy" in there:
                    with archive.open(f"{name}.npy") as member:
                        found[name] = _member(member, kinds, size, f"{path}: {name} of {model}")
                elif name in needed:
                    raise CascadeError(f"{path}: no array '{name}' for model {model}")
            return found
    except CascadeError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds
        raise CascadeError(
            f"{path}: truncated or not an .npz archive ({one_line(error)})"
        ) from None


def _member(member: IO[bytes], kinds: Collection[str], size: int, where: str) -> NDArray[Any]:
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise CascadeError(f"{where}: version {version} of the .npy format, expected 1.0 or 2.0")
    shape, _, dtype = read[version](member)
    if shape != (size,):
        raise CascadeError(f"{where}: shape {list(shape)}, expected [{size}] (labels.npy)")
    if dtype.kind not in kinds or dtype.itemsize > LONGEST_ID:
        expected = " or ".join(word for kind, word in _KINDS.items() if kind in kinds)
        raise CascadeError(f"{where}: {dtype}, expected {expected}")
    content = member.read(size * dtype.itemsize)
    return np.frombuffer(content, dtype=dtype, count=size)


_KINDS = {"i": "integers", "f": "floats", "U": "text"}
