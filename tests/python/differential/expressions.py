"""Random expressions of a type over the columns that are in sight."""

from .nodes import Node
from .tables import TEXTS

TYPES = ["integer", "decimal", "double", "text", "boolean", "date", "timestamp"]
# What may be compared, grouped and sorted without an allowance.
EXACT = ["integer", "decimal", "text", "boolean", "date", "timestamp"]


class Expressions:
    """Makes expressions. `columns` are (name, kind) in sight."""

    def __init__(self, random, columns):
        self.random, self.columns = random, list(columns)

    def any(self, depth, kinds=EXACT):
        return self.of(self.random.choice(kinds), depth)

    def of(self, kind, depth):
        """An expression of that kind, whose integers stay below 10^12 and decimals below 10^14."""
        if depth <= 0 or self.random.random() < 0.2:
            return self.leaf(kind)
        forms = {
            "integer": self.integer,
            "decimal": self.decimal,
            "double": self.double,
            "text": self.text,
            "boolean": self.boolean,
            "date": self.date,
            "timestamp": self.timestamp,
        }
        if self.random.random() < 0.25:
            return self.conditional(kind, depth)
        return forms[kind](depth)

    def leaf(self, kind):
        found = [name for name, own in self.columns if own == kind]
        if found and self.random.random() < 0.75:
            return Node(kind, self.random.choice(found))
        return self.literal(kind)

    def column(self, kind):
        """A column of that kind, or what there is if there is none."""
        found = [name for name, own in self.columns if own == kind]
        return Node("column", self.random.choice(found)) if found else self.of(kind, 1)

    def literal(self, kind):
        pick = self.random.choice
        if self.random.random() < 0.08:
            names = {"integer": "bigint", "decimal": "decimal(10,2)", "double": "double precision", "text": "varchar"}
            names["timestamp"] = "timestamptz"
            return Node(kind, f"cast(null as {names.get(kind, kind)})")
        if kind == "integer":
            value = pick([0, 1, -1, 2, 3, 10, 100])
            return Node(kind, f"({value})", duckdb=[f"cast({value} as bigint)"])
        texts = {
            "decimal": lambda: f"cast({pick(['0', '1.50', '-2.25', '100.00', '0.01'])} as decimal(10,2))",
            "double": lambda: f"cast({pick(['0', '0.5', '-1.25', '1e3'])} as double precision)",
            "text": lambda: "'" + pick(TEXTS).replace("'", "''") + "'",
            "boolean": lambda: pick(["true", "false"]),
            "date": lambda: f"date '{pick(['2024-02-29', '2023-12-31', '2024-01-01', '1969-12-31'])}'",
            "timestamp": lambda: f"timestamptz '{pick(['2024-02-29 23:59:59+00', '2024-01-01 00:00:00+00'])}'",
        }
        return Node(kind, texts[kind]())

    def conditional(self, kind, depth):
        one = lambda: self.of(kind, depth - 1)
        form = self.random.randrange(5)
        if form == 0:
            when = self.of("boolean", depth - 1)
            otherwise = Node("clause", " else ", one(), optional=True)
            return Node(kind, "case when ", when, " then ", one(), otherwise, " end")
        if form == 1:
            of = self.random.choice(EXACT)
            x, when = self.of(of, depth - 1), self.of(of, depth - 1)
            return Node(kind, "case ", x, " when ", when, " then ", one(), " else ", one(), " end")
        if form == 2:
            return Node(kind, "coalesce(", one(), ", ", one(), ")")
        if form == 3:
            return Node(kind, "nullif(", one(), ", ", one(), ")")
        return Node(kind, self.random.choice(["greatest", "least"]), "(", one(), ", ", one(), ")")

    def integer(self, depth):
        one = lambda kind="integer": self.of(kind, depth - 1)
        small = lambda: self.leaf("integer")
        return self.random.choice(
            [
                lambda: Node("integer", "(", small(), self.random.choice([" + ", " - "]), one(), ")"),
                lambda: Node("integer", "(", small(), " * ", small(), ")"),
                lambda: self.divided(one(), small()),
                lambda: Node("integer", "(", one(), " % nullif(", small(), ", 0))"),
                lambda: Node("integer", "abs(", one(), ")"),
                lambda: Node("integer", "(-", small(), ")"),
                lambda: Node("integer", "cast(length(", one("text"), ") as bigint)"),
                lambda: Node("integer", "cast(strpos(", one("text"), ", ", self.leaf("text"), ") as bigint)"),
                lambda: Node("integer", "cast(", one("boolean"), " as integer)"),
                lambda: Node("integer", "cast(round(", self.leaf("decimal"), ") as bigint)"),
                lambda: self.part(one("date")),
                lambda: Node("integer", "cast(sign(", one(), ") as bigint)"),
                lambda: Node("integer", "(", small(), self.random.choice([" & ", " | "]), small(), ")"),
            ]
        )()

    def divided(self, left, right):
        ours = ["(", left, " / nullif(", right, ", 0))"]
        return Node("integer", *ours, duckdb=["(", left, " // nullif(", right, ", 0))"])

    def part(self, day):
        field = self.random.choice(["year", "month", "day", "quarter", "week", "doy", "dow"])
        return Node("integer", f"cast(extract({field} from ", day, ") as bigint)")

    def multiple(self, decimal, integer):
        ours = ["(", decimal, " * ", integer, ")"]
        return Node("decimal", *ours, duckdb=["cast(", *ours, " as decimal(28, 4))"])

    def decimal(self, depth):
        small = lambda: self.leaf("decimal")
        return self.random.choice(
            [
                lambda: Node("decimal", "(", small(), self.random.choice([" + ", " - "]), small(), ")"),
                lambda: self.multiple(small(), self.leaf("integer")),
                lambda: Node("decimal", "(", small(), " * ", small(), ")"),
                lambda: Node("decimal", "abs(", small(), ")"),
                lambda: Node("decimal", "(-", small(), ")"),
                lambda: Node("decimal", "round(", small(), f", {self.random.choice([0, 1, 2])})"),
                lambda: Node("decimal", self.random.choice(["floor", "ceil", "trunc", "round"]), "(", small(), ")"),
                lambda: Node("decimal", "cast(", self.leaf("integer"), " as decimal(18,2))"),
                lambda: Node("decimal", "cast(", small(), " as decimal(18,1))"),
            ]
        )()

    def double(self, depth):
        one = lambda kind="double": self.of(kind, depth - 1)
        return self.random.choice(
            [
                lambda: Node("double", "(", self.leaf("double"), self.random.choice([" + ", " - ", " * "]), one(), ")"),
                lambda: Node("double", "(", one(), " / nullif(", self.leaf("double"), ", 0))"),
                lambda: Node("double", "abs(", one(), ")"),
                lambda: Node("double", "sqrt(abs(", one(), "))"),
                lambda: Node("double", self.random.choice(["floor", "ceil"]), "(", one(), ")"),
                lambda: Node("double", "cast(", one(self.random.choice(["integer", "decimal"])), " as double precision)"),
            ]
        )()

    def text(self, depth):
        one = lambda: self.of("text", depth - 1)
        return self.random.choice(
            [
                lambda: Node("text", "(", one(), " || ", one(), ")"),
                lambda: Node("text", self.random.choice(["upper", "lower", "trim", "ltrim", "rtrim", "reverse"]), "(", one(), ")"),
                lambda: Node("text", "substr(", one(), f", {self.random.randint(1, 3)}, {self.random.randint(0, 3)})"),
                lambda: Node("text", "replace(", one(), ", ", self.literal("text"), ", 'z')"),
                lambda: Node("text", self.random.choice(["left", "right"]), "(", one(), f", {self.random.randint(0, 3)})"),
                lambda: Node("text", "cast(", self.of(self.random.choice(["integer", "boolean", "date"]), depth - 1), " as varchar)"),
                lambda: Node("text", "concat(", one(), ", ", one(), ")"),
                lambda: Node("text", "lpad(", one(), ", 4, '*')"),
                lambda: Node("text", "split_part(", one(), ", 'a', 1)"),
            ]
        )()

    def boolean(self, depth):
        kind = self.random.choice(EXACT + ["integer"])
        one = lambda own=kind: self.of(own, depth - 1)
        truth = lambda: self.of("boolean", depth - 1)
        compare = self.random.choice([" = ", " <> ", " < ", " <= ", " > ", " >= "])
        return self.random.choice(
            [
                lambda: Node("boolean", "(", one(), compare, one(), ")"),
                lambda: Node("boolean", "(", one(), compare, one(), ")"),
                lambda: Node("boolean", "(", self.mixed(), compare, self.mixed(), ")"),
                lambda: Node("boolean", "(", truth(), self.random.choice([" and ", " or "]), truth(), ")"),
                lambda: Node("boolean", "(not ", truth(), ")"),
                lambda: Node("boolean", "(", one(), self.random.choice([" is null", " is not null"]), ")"),
                lambda: Node("boolean", "(", truth(), self.random.choice([" is true", " is not true", " is false"]), ")"),
                lambda: Node("boolean", "(", one(), self.random.choice([" is distinct from ", " is not distinct from "]), one(), ")"),
                lambda: Node("boolean", "(", one(), self.random.choice([" between ", " not between "]), one(), " and ", one(), ")"),
                lambda: Node("boolean", "(", self.column(kind), self.random.choice([" in (", " not in ("]), one(), ", ", one(), "))"),
                lambda: Node("boolean", "(", one("text"), self.random.choice([" like ", " not like "]), self.pattern(), ")"),
                lambda: Node("boolean", "(", one("text"), " ilike ", self.pattern(), ")"),
                lambda: self.extremes(compare),
            ]
        )()

    def mixed(self):
        return self.leaf(self.random.choice(["integer", "decimal", "double"]))

    def pattern(self):
        return Node("pattern", "'" + self.random.choice(["a%", "%b%", "_", "%", "A_", "", "ñ%", "a"]) + "'")

    def extremes(self, compare):
        found = [name for name, own in self.columns if own.startswith("extreme")]
        if not found:
            return self.literal("boolean")
        name = self.random.choice(found)
        other = self.random.choice(["0", "-1", name, "9223372036854775807" if name.endswith("m") else "1e10"])
        return Node("boolean", f"({name}{compare}{other})")

    def date(self, depth):
        one = lambda: self.of("date", depth - 1)
        unit = self.random.choice(["day", "month", "year"])
        count = self.random.randint(0, 3)
        trunc = self.random.choice(["month", "year", "quarter", "week"])
        return self.random.choice(
            [
                lambda: Node("date", "cast(", one(), self.random.choice([" + ", " - "]), f"interval '{count} {unit}' as date)"),
                lambda: Node("date", f"cast(date_trunc('{trunc}', ", one(), ") as date)"),
                lambda: Node("date", "cast(", self.of("timestamp", depth - 1), " as date)"),
            ]
        )()

    def truncated(self, unit, time):
        ours = [f"date_trunc('{unit}', ", time, ")"]
        return Node("timestamp", *ours, duckdb=["(", *ours, " + interval '0 day')"])

    def timestamp(self, depth):
        one = lambda: self.of("timestamp", depth - 1)
        unit = self.random.choice(["second", "minute", "hour", "day"])
        trunc = self.random.choice(["minute", "hour", "day", "month"])
        return self.random.choice(
            [
                lambda: Node("timestamp", "(", one(), self.random.choice([" + ", " - "]), f"interval '{self.random.randint(0, 40)} {unit}')"),
                lambda: self.truncated(trunc, one()),
            ]
        )()
