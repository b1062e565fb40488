"""Pictures that are inline SVG: the page's colours, text as text, the same bytes again."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from {{ cookiecutter.project_slug }}.report import pictures
from {{ cookiecutter.project_slug }}.report.pictures import Line, Mark

HOSTILE = '<script>alert("x")</script>'
NAMESPACE = {"svg": pictures.SVG}
MARKS = [
    Mark("good", 0.2, 0.1, 0.3, 0.0),
    Mark("bad", -0.2, -0.3, -0.1, 0.0, "fail"),
    Mark("unsure", 0.1, -9.0, 9.0, 0.0, "insufficient"),
    Mark("nothing", None),
]


def texts(svg: str) -> list[str]:
    """The texts of a picture."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iterfind(".//svg:text", NAMESPACE)]


def test_a_forest_plot_has_a_label_for_each_mark_and_each_axis():
    svg = pictures.forest("one", "two panels", {"gain": MARKS, "loss": [Mark("other", 1.0)]})
    found = texts(svg)
    assert {"good", "bad", "unsure", "nothing", "other", "gain", "loss"} <= set(found)
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", "two panels")
    assert root.get("viewBox")
    assert root.get("width") is root.get("height") is None


def test_colours_are_the_pages_own_and_none_is_left():
    svg = pictures.forest("one", "", {"gain": MARKS})
    assert not [colour for colour in pictures.COLOURS if colour in svg]
    assert {f"var(--{name})" in svg for name in ("ink", "muted", "rule", "accent", "bad")} == {True}
    assert "#000000" not in svg


def test_ids_of_two_pictures_differ_and_every_reference_is_there():
    svg = "".join(pictures.forest(name, "", {"gain": MARKS}) for name in ("one", "two"))
    roots = [pictures.forest(name, "", {"gain": MARKS}) for name in ("one", "two")]
    ids = [element.get("id") for root in roots for element in ElementTree.fromstring(root).iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 10
    used = [
        element.get("href") for root in roots for element in ElementTree.fromstring(root).iter() if element.get("href")
    ]
    assert used
    assert {name.removeprefix("#") for name in used} <= set(ids)
    assert "url(#one-" in svg


def test_text_of_the_data_stays_text():
    svg = pictures.forest(
        "one", HOSTILE, {"$x^2$": [Mark(HOSTILE[:20], 1.0), Mark("$\\frac$", 2.0), Mark("航空\n便", 3.0)]}
    )
    assert "<script" not in svg
    assert {HOSTILE[:20], "$\\frac$", "航空 便", "$x^2$"} <= set(texts(svg))
    assert ElementTree.fromstring(svg).get("aria-label") == HOSTILE


@pytest.mark.parametrize("draw", ["forest", "curves"])
def test_the_same_figures_give_the_same_bytes(draw):
    made = [
        pictures.forest("one", "", {"gain": MARKS})
        if draw == "forest"
        else pictures.curves("one", "", [Line("a", [0, 1], [0.5, None])], ["x", "y"], diagonal=True)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert "metadata" not in made[0]


def test_curves_name_their_axes_and_their_lines():
    band = ([0.0, 0.1], [0.3, 0.4])
    lines = [
        Line("gated", ["a", "b"], [0.1, 0.2], band, [("b", 0.2, "X"), ("a", 0.1, "D")]),
        Line("frozen", ["a", "b"], [1, 2]),
    ]
    assert {"month", "loss", "gated", "frozen", "a", "b"} <= set(
        texts(pictures.curves("c", "", lines, ["month", "loss"]))
    )


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (MARKS[:1], (-0.018, 0.318)),
        ([MARKS[0], MARKS[2]], (-0.018, 0.318)),
        ([Mark("all alike", 2.0)], (1.8, 2.2)),
        ([Mark("nothing", None)], (-1.0, 1.0)),
        ([Mark("zero", 0.0)], (-1.0, 1.0)),
    ],
)
def test_an_axis_shows_values_and_limits_but_not_intervals_that_say_nothing(marks, expected):
    assert pictures.extent(marks) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\tb\n c", "a b c"), ("\x1b[31mred", "[31mred"), ("x" * 22, "x" * 22), ("x" * 23, "x" * 21 + "…")],
)
def test_labels_are_one_line_and_short(text, expected):
    assert pictures.short(text) == expected
