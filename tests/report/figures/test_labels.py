import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Annotation, Text

from cascade_exp.report.figures import style
from cascade_exp.report.figures.labels import Label, place


def boxes(axes):
    """The pixels of every name written, by its text."""
    renderer = axes.figure.canvas.get_renderer()
    found = {}
    for text in axes.texts:
        assert isinstance(text, Annotation)
        text.update_positions(renderer)
        found[text.get_text()] = Text.get_window_extent(text, renderer)
    return found


def new_axes():
    figure = style.new_figure(style.WIDE)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return axes


unit = st.floats(0, 1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(unit, unit, st.booleans()), min_size=1, max_size=25))
def test_names_keep_inside_and_off_each_other(points):
    labels = [
        Label(x, y, f"a_model_called_{i}", "#000000", needed=needed)
        for i, (x, y, needed) in enumerate(points)
    ]
    obstacles = np.array([(x, y) for x, y, _ in points])
    with style.house_style():
        axes = new_axes()
        written = place(axes, labels, obstacles)
        found = boxes(axes)
        frame = axes.get_window_extent()
        pixels = axes.transData.transform(obstacles)
    assert sorted(found) == sorted(written)
    for name, box in found.items():
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.overlaps(other) for n, other in found.items() if n != name)
        if not labels[int(name.rsplit("_", 1)[1])].needed:
            inside = (pixels > box.min) & (pixels < box.max)
            assert not inside.all(axis=1).any()


def test_the_most_important_name_is_written_first_and_the_rest_where_there_is_room():
    crowd = np.random.default_rng(0).uniform(0.3, 0.7, size=(150, 2))
    labels = [Label(x, y, f"model_{i}", "#000000", needed=i == 0) for i, (x, y) in enumerate(crowd)]
    with style.house_style():
        written = place(new_axes(), labels, crowd)
    assert written[0] == "model_0"
    assert len(written) < 50


def test_a_lone_name_stands_right_beside_its_point():
    with style.house_style():
        axes = new_axes()
        place(axes, [Label(0.5, 0.5, "alone", "#000000")], np.array([[0.5, 0.5]]))
        box = boxes(axes)["alone"]
        x, y = axes.transData.transform((0.5, 0.5))
    assert 0 < box.x0 - x < 20
    assert (box.y0 + box.y1) / 2 == pytest.approx(y, abs=3)
