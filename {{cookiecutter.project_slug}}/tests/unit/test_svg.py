"""Pictures: the same bytes for the same figures, and names as they are."""

from __future__ import annotations

import pytest

from {{ cookiecutter.project_slug }} import svg

NAMES = ["plain", "$x^2$", "5$ to 9$", "$\\broken$", "<b> & co", "\N{SNOWMAN} \N{CJK UNIFIED IDEOGRAPH-4E00}"]


def drawn(*names: str) -> str:
    """A picture with these names at its axis."""
    with svg.figure(3, 2) as figure:
        figure.subplots().set_yticks(range(len(names)), names)
        return svg.write(figure)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_written_as_it_is(name: str) -> None:
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert escaped in drawn(name)


def test_equal_figures_give_equal_bytes() -> None:
    assert drawn("a", "b") == drawn("a", "b") != drawn("a", "c")
    assert "dc:date" not in drawn("a")


def test_settings_hold_for_one_figure_alone() -> None:
    with svg.figure(3, 2, {"font.size": 31}) as figure:
        figure.subplots()
        assert "31px" in svg.write(figure)
    assert "31px" not in drawn("a")
