"""What the rounds say together: medians, ratios, goals, as text and JSON; it measures nothing."""

import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.task import Figure
from bench.work import MB, OURS, P50, P95, P99, PSS, START, Goal, Measure, Work

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("per_second", "per s", ",.0f"),
    ("mb_per_second", "MB/s", ",.0f"),
    ("p50_ms", "p50 ms", ".2f"),
    ("p95_ms", "p95 ms", ".2f"),
    ("p99_ms", "p99 ms", ".2f"),
    ("start_seconds", "start s", ".2f"),
    ("cpu_seconds_per_1000", "CPU-s/1000", ".3f"),
    ("per_cpu_second", "per CPU-s", ",.0f"),
    ("pss_mib", "PSS MiB", ",.0f"),
)
LESS_IS_MORE = (P50, P95, P99, START, PSS)


@dataclass
class Row:
    """One program at one work: a figure of each round, or why there is none."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    problem: str | None = None

    def values(self, measure: str) -> list[float]:
        found = [getattr(figure, measure) for figure in self.figures]
        return [] if self.problem or None in found else found

    def middle(self, measure: str) -> float | None:
        values = self.values(measure)
        return median(values) if values else None


@dataclass
class Verdict:
    """A goal, and what came of it; without a figure it is open."""

    goal: Goal
    figures: list[float]

    @property
    def is_met(self) -> bool | None:
        if not self.figures:
            return None
        middle = median(self.figures)
        return middle <= self.goal.bound if self.goal.at_most else middle >= self.goal.bound

    def text(self) -> str:
        if self.is_met is None:
            return f"goal {self.goal.text()}: not measured"
        times = "x" if self.goal.against else ""
        low, middle, high = spread(self.figures)
        word = "met" if self.is_met else "MISSED"
        return f"goal {self.goal.text()}: {word}, {_short(middle)}{times} ({low}-{high})"


def spread(values: list[float]) -> tuple[str, float, str]:
    return _short(min(values)), median(values), _short(max(values))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratios(rows: dict[str, Row], names: tuple[str, ...], measure: Measure) -> list[float]:
    """Ours divided by the other's, round by round; of several others by the slowest then."""
    others = [rows[name].values(measure.field) for name in names if name in rows]
    ours = rows[OURS].values(measure.field) if OURS in rows else []
    if len(others) < len(names) or not ours or not all(others):
        return []
    slowest = max if measure in LESS_IS_MORE else min
    pairs = zip(ours, *others, strict=False)
    return [one / slowest(those) for one, *those in pairs]


def verdicts(work: Work, rows: dict[str, Row]) -> list[Verdict]:
    made = []
    for goal in work.goals:
        if goal.against:
            figures = ratios(rows, goal.against, goal.measure)
        else:
            figures = rows[OURS].values(goal.measure.field) if OURS in rows else []
        made.append(Verdict(goal, figures))
    return made


def text(work: Work, rows: dict[str, Row]) -> str:
    """The table of one work. A column that nobody has a figure for is left out."""
    columns = [
        column
        for column in COLUMNS
        if any(row.middle(column[0]) is not None for row in rows.values())
        and (column[0] != MB.field or work.measure is MB)
    ]
    head = [f"{'':17}", *(f"{title:>11}" for _, title, _ in columns)]
    lines = [f"{work.name}: {work.what}; connections: {work.connections}"]
    lines.append("".join(head) + f"   ours / it, {work.measure.text}")
    for row in rows.values():
        if row.problem:
            lines.append(f"  {row.name:<15}  {row.problem}")
            continue
        cells = [_cell(row.middle(name), form) for name, _, form in columns]
        compared = ratios(rows, (row.name,), work.measure) if row.name != OURS else []
        low, middle, high = spread(compared) if compared else ("", 0.0, "")
        ratio = f"   {_short(middle)}x ({low}-{high})" if compared else ""
        lines.append(f"  {row.name:<15}" + "".join(cells) + ratio)
    lines += [f"  {verdict.text()}" for verdict in verdicts(work, rows)]
    return "\n".join(lines) + "\n"


def _cell(value: float | None, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>11}"


def as_json(work: Work, rows: dict[str, Row]) -> dict[str, Any]:
    return {
        "work": work.name,
        "what": work.what,
        "connections": work.connections,
        "programs": [
            {
                "name": row.name,
                "problem": row.problem,
                "median": {name: row.middle(name) for name, _, _ in COLUMNS},
                "rounds": [
                    {name: getattr(figure, name) for name, _, _ in COLUMNS}
                    for figure in row.figures
                ],
                "ours_to_it": ratios(rows, (row.name,), work.measure),
            }
            for row in rows.values()
        ],
        "goals": [
            {"goal": verdict.goal.text(), "met": verdict.is_met, "figures": verdict.figures}
            for verdict in verdicts(work, rows)
        ],
    }


def say(line: str) -> None:
    """Progress, beside the tables."""
    print(line, file=sys.stderr, flush=True)
