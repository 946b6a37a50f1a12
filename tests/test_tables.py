"""Columns are written at once where all their cells are alike: as each cell alone would be."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.tables import csv_table

numbers = st.floats() | st.sampled_from([1e-5, 1e16, 0.1, -0.0, math.inf, math.nan])
names = st.text("ab, ;'\"[]", max_size=4)
lists = st.lists(numbers, max_size=3) | st.lists(names, max_size=3) | st.lists(st.integers())
cells = st.one_of(
    st.none(), st.booleans(), st.integers(), names, numbers, numbers.map(np.float64), lists
)
columns = st.sampled_from([numbers, names, st.lists(numbers), st.lists(names), lists, cells])


def of_one_cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    if isinstance(value, list):
        return (">" if any(isinstance(v, str) for v in value) else ";").join(
            map(of_one_cell, value)
        )
    return str(value)


@given(st.data())
def test_a_column_is_written_as_its_cells_are(data):
    height = data.draw(st.integers(0, 5))
    table = [
        data.draw(st.lists(data.draw(columns), min_size=height, max_size=height)) for _ in range(3)
    ]
    rows = list(zip(*table, strict=True))
    text = csv_table(["x", "y", "z"], rows)
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found == [["x", "y", "z"], *([of_one_cell(cell) for cell in row] for row in rows)]
