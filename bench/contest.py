"""A contest: contenders that do the same work by turns, A B A B, and the table of their medians."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
CORDADA = os.environ["CORDADA"]


@dataclass
class Contender:
    """`run()` does the work once, checks the answer, and returns its figures: at least `seconds`."""

    name: str
    run: callable
    most_runs: int = 1000
    figures: list = field(default_factory=list)

    def median(self, figure):
        return median(figures[figure] for figures in self.figures)

    def spread(self, figure):
        values = [figures[figure] for figures in self.figures]
        return f"{min(values):.2f}–{max(values):.2f}"


def alternate(contenders, runs):
    """Run everybody by turns; one that has its `most_runs` sits the rest out."""
    for turn in range(runs):
        for contender in contenders:
            if turn < contender.most_runs:
                contender.figures.append(contender.run())
                seconds = contender.figures[-1]["seconds"]
                print(f"  {contender.name}, run {turn + 1}: {seconds:.2f} s", flush=True)


def measured(*command):
    """Run a command to its end; its figures from measure.py, and what it printed as `out`."""
    command = [sys.executable, str(HERE / "measure.py"), *map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    figures = json.loads(done.stderr.splitlines()[-1])
    if figures["code"] != 0:
        raise SystemExit(f"{' '.join(command[2:])}\n{done.stdout}{done.stderr}")
    return figures | {"out": done.stdout}


def peer(script, *arguments):
    """The command of a script in peers/."""
    return [sys.executable, str(HERE / "peers" / script), *map(str, arguments)]


def table(contenders, columns):
    """A Markdown table, a contender a row; `columns` are (heading, function of a contender)."""
    lines = ["| | " + " | ".join(heading for heading, _ in columns) + " |", "|---|" + "---:|" * len(columns)]
    for contender in contenders:
        lines.append(f"| {contender.name} | " + " | ".join(value(contender) for _, value in columns) + " |")
    return "\n".join(lines)


def goal(text, reached, measure):
    """One line that says whether a goal was reached."""
    return f"- {text}: {measure}, {'reached' if reached else '**not reached**'}."


def expect(what, got, wanted):
    """Check an answer before its time counts."""
    if got != wanted:
        raise SystemExit(f"wrong answer: {what} is {got}, should be {wanted}")
