"""The drawing of histories: by hand for the shapes people know, by property for all others."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.version_graph import in_lines, rails

Graph = dict[str, Sequence[str]]


def drawn(history: Iterable[tuple[str, Sequence[str]]]) -> str:
    lines = [f"{rail} {node}" if node else rail for rail, node in rails(history)]
    return "\n".join(lines)


def given_as(parents: Mapping[str, Sequence[str]]) -> list[tuple[str, Sequence[str]]]:
    """In the order in which they are written down."""
    return list(parents.items())


def picture(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_line_of_versions_is_a_line() -> None:
    assert drawn(given_as({"c": "b", "b": "a", "a": ""})) == "* c\n* b\n* a"


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn([]) == ""


def test_a_fork_and_its_merge_are_a_loop() -> None:
    graph = {"m": "ab", "b": "r", "a": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m
        |\
        | * b
        * | a
        |/
        * r
        """
    )


def test_a_criss_cross_crosses() -> None:
    graph = {"t": "mn", "n": "ba", "m": "ab", "b": "r", "a": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * t
        |\
        | * n
        | |\
        * | | m
        |\| |
        | |\|
        |/ /
        * | b
        | * a
        |/
        * r
        """
    )


def test_a_side_line_is_merged_into_twice() -> None:
    graph = {"m2": ["m1", "s2"], "s2": ["s1"], "m1": ["a", "s1"], "s1": ["r"], "a": ["r"], "r": []}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m2
        |\
        | * s2
        * | m1
        |\|
        | * s1
        * | a
        |/
        * r
        """
    )


def test_a_line_inside_a_line_moves_the_outer_one_aside() -> None:
    graph = {"m": "xo", "x": "ab", "b": "r", "a": "r", "o": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m
        |\
        * | x
        |\ \
        | * | b
        * | | a
        |/ /
        | * o
        |/
        * r
        """
    )


def test_a_line_that_goes_far_to_the_left_crosses_the_ones_between() -> None:
    graph = {"m": "abcd", "d": "a", "c": "r", "b": "r", "a": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m
        |\
        |\ \
        |\ \ \
        | | | * d
        | | |/
        | |/|
        |/| |
        | | * c
        | * | b
        | |/
        * | a
        |/
        * r
        """
    )


def test_several_parents_are_so_many_lines() -> None:
    graph = {"m": "abc", "c": "r", "b": "r", "a": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m
        |\
        |\ \
        | | * c
        | * | b
        | |/
        * | a
        |/
        * r
        """
    )


def test_a_line_that_ends_leaves_no_gap() -> None:
    graph = {"m": "ab", "a": "", "b": "r", "r": ""}
    assert drawn(given_as(graph)) == picture(
        r"""
        * m
        |\
        * | a
         /
        * b
        * r
        """
    )


def test_a_history_that_is_cut_off_stays_open() -> None:
    assert drawn([("m", "ab"), ("b", "r")]) == "* m\n|\\\n| * b"
    assert drawn([("m", "ab"), ("b", "r"), ("a", "r")]).endswith("* | a\n|/")


def test_a_parent_that_is_named_twice_is_one() -> None:
    assert drawn([("m", "aa"), ("a", "")]) == "* m\n* a"
    assert list(in_lines("m", {"m": "aa"})) == [("m", ["a"]), ("a", [])]


def test_what_was_merged_in_stands_together() -> None:
    graph = {"m": ["a2", "b2"], "a2": ["a1"], "b2": ["b1"], "a1": ["r"], "b1": ["r"]}
    assert [node for node, _ in in_lines("m", graph)] == ["m", "b2", "b1", "a2", "a1", "r"]


def test_what_does_not_lead_to_the_head_is_left_out() -> None:
    assert list(in_lines("b", {"c": "b", "b": "a", "x": "a"})) == [("b", ["a"]), ("a", [])]


def test_a_long_history_is_no_deep_recursion() -> None:
    graph = {n: [n - 1] for n in range(1, 20_001)}
    assert [rail for rail, _ in rails(in_lines(20_000, graph))] == ["*"] * 20_001


@st.composite
def histories(draw: st.DrawFn) -> dict[int, list[int]]:
    """Node 0 comes first; parents have greater numbers."""
    count = draw(st.integers(1, 14))
    return {
        node: draw(st.lists(st.integers(node + 1, count - 1), max_size=4, unique=True))
        if node < count - 1
        else []
        for node in range(count)
    }


@given(histories())
def test_no_node_stands_above_one_that_was_made_on_it(graph: dict[int, list[int]]) -> None:
    order = [node for node, _ in in_lines(0, graph)]
    assert len(order) == len(set(order))
    assert all(order.index(n) < order.index(p) for n in order for p in graph[n])


@given(histories(), st.booleans())
def test_who_follows_the_lines_finds_the_parents(
    graph: dict[int, list[int]], is_by_number: bool
) -> None:
    history = list(in_lines(0, graph))
    if is_by_number:
        history.sort()
    lines = list(rails(history))
    assert [node for _, node in lines if node is not None] == [node for node, _ in history]
    assert followed(lines) == {(node, parent) for node, parents in history for parent in parents}
    for rail, _ in lines:
        assert rail == rail.rstrip()
        assert set(rail) <= set("*|/\\ ")


def followed(lines: Iterable[tuple[str, int | None]]) -> set[tuple[int, int]]:
    """Walk down the drawing: the edges that an eye finds which knows nothing of the history.

    A walker is a column, the node it comes from, and the side to which it crosses lanes.
    """
    found: set[tuple[int, int]] = set()
    walkers: set[tuple[int, int, str]] = set()
    for rail, node in lines:
        walkers = {step for walker in walkers for step in steps(rail, walker, walkers)}
        if node is None:
            continue
        column = rail.index("*")
        found |= {(source, node) for at, source, _ in walkers if at == column}
        walkers = {walker for walker in walkers if walker[0] != column} | {(column, node, "")}
    return found


def steps(
    rail: str, walker: tuple[int, int, str], walkers: set[tuple[int, int, str]]
) -> Iterable[tuple[int, int, str]]:
    at, source, side = walker

    def mark(column: int) -> str:
        return rail[column] if 0 <= column < len(rail) else " "

    crossing = {each[2] for each in walkers if each[0] == at}
    if side == "/" and mark(at - 1) == "/":
        yield at - 2, source, "/"
        return
    if side == "\\" and mark(at + 1) == "\\":
        yield at + 2, source, "\\"
        return
    if mark(at) in "*|":
        yield at, source, ""
    # A line that only crosses here does not begin here.
    if mark(at - 1) == "/" and "/" not in crossing:
        yield at - 2, source, "/"
    if mark(at + 1) == "\\" and "\\" not in crossing:
        yield at + 2, source, "\\"


@pytest.mark.parametrize("width", [2, 5, 30])
def test_a_merge_of_many_lines_is_followed_too(width: int) -> None:
    sides = range(1, width + 1)
    graph: dict[int, Sequence[int]] = {0: sides, **{side: [width + 1] for side in sides}}
    history = list(in_lines(0, graph))
    lines = list(rails(history))
    assert followed(lines) == {(n, p) for n, parents in graph.items() for p in parents}
