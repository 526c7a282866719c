"""What fits a terminal: text is cut, columns are left out, and names stay whole."""

from orchestrator.cli.table import Column, column, record_lines, table_lines

HASH = "5df3e88041dd"


def columns(**cells: str) -> list[Column]:
    return [column(name, name, [cell], [cell]) for name, cell in cells.items()]


def lines(width: int | None, **cells: str) -> list[str]:
    return list(table_lines(columns(**cells), width, str))


def test_free_text_is_cut_first_and_nothing_else() -> None:
    header, row = lines(40, name="orders", version_hash=HASH, message="A long explanation of why")
    assert header == "name    version_hash  message"
    assert row == "orders  5df3e88041dd  A long explanatio…"
    assert len(row) == 40


def test_then_columns_go_that_say_less() -> None:
    header, row = lines(
        38,
        name="orders",
        kind="dag_version",
        version_hash=HASH,
        moved_by="ann",
        message="Because it is so",
    )
    assert "kind" not in header
    assert row.startswith("orders  5df3e88041dd  ")
    assert len(row) <= 38


def test_in_the_end_a_row_becomes_a_record_with_all_of_it() -> None:
    found = lines(
        30, name="a/long/name/of/a/tag", version_hash=HASH, moved_at="3 minutes ago", message="m"
    )
    assert found == [
        "name          a/long/name/of/a/tag",
        f"version_hash  {HASH}",
        "moved_at      3 minutes ago",
        "message       m",
        "",
    ]


def test_without_a_terminal_everything_is_there() -> None:
    assert lines(None, name="a", message="m" * 500)[1] == f"a     {'m' * 500}"


def test_wide_characters_take_their_room() -> None:
    header, row = lines(24, name="日本", message="語" * 20)
    assert header == "name  message"
    assert row == f"日本  {'語' * 8}…"


def test_numbers_stand_to_the_right_and_labels_are_aligned() -> None:
    number = column("version", "version", [3], ["3"])
    assert list(table_lines([number], None, str)) == ["version", "      3"]
    assert list(record_lines({"a": "1", "long": ""}, str)) == ["a     1", "long"]
