"""Random statements: joins, filters, groups, windows, subqueries, set operations, order and limit."""

from .expressions import EXACT, TYPES, Expressions
from .nodes import Node
from .tables import COLUMNS, ROWS

DEPTH = 3


class Statements:
    def __init__(self, random):
        self.random = random
        self.names = 0

    def name(self):
        self.names += 1
        return f"s{self.names}"

    def one(self):
        """A statement."""
        form = self.random.random()
        if form < 0.45:
            return self.plain()
        if form < 0.72:
            return self.grouped()
        if form < 0.84:
            return self.windowed()
        if form < 0.94:
            return self.combined()
        return self.common_table()

    def table(self):
        """A relation with an alias: its node, and the columns that it shows."""
        alias = self.name()
        if self.random.random() < 0.15 and self.names < 12:
            kinds = [self.random.choice(EXACT) for _ in range(2)]
            inner = self.select(kinds, depth=2)
            columns = [(f"{alias}.c{place}", kind) for place, kind in enumerate(kinds)]
            return Node("relation", "(", inner, f") as {alias}"), columns
        table = self.random.choices(list(ROWS), [5, 4, 4, 1])[0]
        columns = [(f"{alias}.{column}", kind) for column, (kind, _) in COLUMNS.items()]
        return Node("relation", f"raw_d.{table} as {alias}"), columns

    def relations(self):
        """What comes after `from`."""
        node, columns = self.table()
        for _ in range(self.random.choices([0, 1, 2], [5, 4, 1])[0]):
            other, more = self.table()
            kind = self.random.choice(["join", "left join", "right join", "full join", "cross join"])
            both = columns + more
            if kind == "cross join":
                node = Node("relation", node, " cross join ", other)
            else:
                pairs = [(a, b) for a, own in columns for b, its in more if own == its and own in ("integer", "text", "date")]
                equal = "{} = {}".format(*self.random.choice(pairs)) if pairs else "true"
                condition = [f" {kind} ", other, " on ", Node("on", equal)]
                if self.random.random() < 0.3 and kind in ("join", "left join"):
                    condition.append(Node("clause", " and ", Expressions(self.random, both).of("boolean", 1), optional=True))
                node = Node("relation", node, *condition)
            columns = both
        return node, columns

    def where(self, columns):
        if self.random.random() < 0.55:
            return Node("clause", "")
        made = Expressions(self.random, columns)
        condition = made.of("boolean", DEPTH)
        if self.random.random() < 0.25:
            condition = self.subquery(columns, made)
        return Node("clause", " where ", condition, optional=True)

    def subquery(self, columns, made):
        """A condition with a subquery, which may be correlated."""
        form = self.random.randrange(4)
        inner, inside = self.table()
        kind = self.random.choice(["integer", "text", "date"])
        if form == 0:
            pairs = [(a, b) for a, own in columns for b, its in inside if own == its and own in ("integer", "text")]
            link = "{} = {}".format(*self.random.choice(pairs)) if pairs else "true"
            more = Node("clause", " and ", Expressions(self.random, inside).of("boolean", 1), optional=True)
            word = self.random.choice(["exists", "not exists"])
            return Node("boolean", f"{word} (select 1 from ", inner, f" where {link}", more, ")")
        one = Expressions(self.random, inside).of(kind, 1)
        condition = Node("clause", " where ", Expressions(self.random, inside).of("boolean", 1), optional=True)
        if form == 1:
            word = self.random.choice([" in ", " not in "])
            named = [name for name, own in columns if own == kind]
            left = Node("column", self.random.choice(named)) if named else made.of(kind, 1)
            return Node("boolean", "(", left, f"{word}(select ", one, " from ", inner, condition, "))")
        pairs = [(a, b) for a, own in columns for b, its in inside if own == its and own in ("integer", "text")]
        if form == 2 and pairs:
            link = "{} = {}".format(*self.random.choice(pairs))
            function = self.random.choice(["max", "min", "count"])
            own = "integer" if function == "count" else kind
            return Node(
                "boolean", "(", made.of(own, 1), f" >= (select {function}(", one, ") from ", inner, f" where {link}))"
            )
        return Node("boolean", "(", made.of(kind, 1), " <= (select max(", one, ") from ", inner, condition, "))")

    def select(self, kinds, depth=DEPTH):
        """A plain statement of columns of these kinds, named c0, c1 and so on."""
        relations, columns = self.relations()
        made = Expressions(self.random, columns)
        parts = ["select "]
        if self.random.random() < 0.2 and not {"double"} & set(kinds):
            parts.append(Node("clause", "distinct ", optional=True))
        for place, kind in enumerate(kinds):
            if place:
                parts.append(", ")
            parts += [made.of(kind, depth), f" as c{place}"]
        return Node("statement", *parts, " from ", relations, self.where(columns))

    def ending(self, kinds):
        """An order, and a limit if the order is of all columns and exact."""
        if self.random.random() < 0.6:
            return Node("clause", "")
        way = lambda: self.random.choice([" asc", " desc"]) + self.random.choice([" nulls first", " nulls last"])
        order = ", ".join(f"{place + 1}{way()}" for place in range(len(kinds)))
        if "double" in kinds:
            return Node("clause", f" order by {order}", optional=True)
        offset = self.random.choice(["", f" offset {self.random.randint(0, 5)}"])
        return Node("clause", f" order by {order} limit {self.random.randint(0, 12)}{offset}", optional=True)

    def plain(self):
        kinds = [self.random.choice(TYPES) for _ in range(self.random.randint(1, 4))]
        return Node("statement", self.select(kinds), self.ending(kinds))

    def aggregate(self, made):
        """An aggregate and its kind."""
        pick = self.random.choice
        exact = pick(EXACT)
        number = pick(["integer", "decimal"])
        distinct = pick(["", "", "distinct "])
        kind, call = pick(
            [
                lambda: ("integer", ["count(*)"]),
                lambda: ("integer", [f"count({distinct}", made.of(exact, 2), ")"]),
                lambda: (number, [f"sum({distinct}", made.of(number, 1), ")"]),
                lambda: ("double", ["avg(", made.of(number, 1), ")"]),
                lambda: ("double", ["sum(", made.of("double", 1), ")"]),
                lambda: (exact, [pick(["min", "max"]), "(", made.of(exact, 2), ")"]),
                lambda: ("boolean", [pick(["bool_and", "bool_or"]), "(", made.of("boolean", 2), ")"]),
            ]
        )()
        if self.random.random() < 0.2:
            call.append(Node("clause", " filter (where ", made.of("boolean", 2), ")", optional=True))
        return kind, Node("aggregate", *call)

    def grouped(self):
        relations, columns = self.relations()
        made = Expressions(self.random, columns)
        kinds = [self.random.choice(EXACT) for _ in range(self.random.choices([0, 1, 2], [2, 5, 3])[0])]
        # A constant would stand for a place in the list.
        keys = [made.of(kind, 1) for kind in kinds]
        keys = [key for key in keys if "." in key.text()]
        # Nor may a grouping set have a key twice.
        keys = list({key.text(): key for key in keys}.values())
        kinds = [key.kind for key in keys]
        parts, shown = ["select "], []
        for key in keys:
            parts += [key, f" as c{len(shown)}, "]
            shown.append(key.kind)
        for place in range(self.random.randint(1, 3)):
            kind, call = self.aggregate(made)
            parts += [", " if place else "", call, f" as c{len(shown)}"]
            shown.append(kind)
        group = [Node("clause", "")]
        if keys:
            listed = [piece for place, key in enumerate(keys) for piece in ([", "] if place else []) + [key]]
            form = self.random.choice(["plain", "plain", "plain", "rollup", "cube", "sets"])
            if form in ("rollup", "cube"):
                listed = [f"{form} (", *listed, ")"]
            elif form == "sets":
                listed = ["grouping sets ((", *listed, "), ())"]
            group = [" group by ", *listed]
        having = Node("clause", "")
        if keys and self.random.random() < 0.2:
            having = Node("clause", " having count(*) > 1", optional=True)
        return Node("statement", *parts, " from ", relations, self.where(columns), *group, having, self.ending(shown))

    def windowed(self):
        node, columns = self.table()
        made = Expressions(self.random, columns)
        order = [name for name, _ in columns if name.endswith(".id")]
        # Rows of a subquery have no key: only functions that ties do not disturb.
        by = f"{order[0]} {self.random.choice(['asc', 'desc'])}" if order else None
        parts, kinds = ["select "], []
        for place in range(self.random.randint(1, 3)):
            parts.append(", " if place else "")
            partition = Node("clause", "partition by ", made.of(self.random.choice(EXACT), 1), " ", optional=True)
            kind, call = self.window(made, by)
            over = [" over (", partition] + ([f"order by {by}"] if by else [])
            if by and self.random.random() < 0.4 and kind[0] != "rank":
                bounds = self.random.choice(["2 preceding and current row", "1 preceding and 1 following", "unbounded preceding and current row", "current row and unbounded following"])
                over.append(Node("clause", f" rows between {bounds}", optional=True))
            parts += [Node("window", *call, *over, ")"), f" as c{place}"]
            kinds.append(kind[1])
        return Node("statement", *parts, " from ", node, self.where(columns), self.ending(kinds))

    def window(self, made, by):
        pick = self.random.choice
        exact, number = pick(EXACT), pick(["integer", "decimal"])
        forms = [
            lambda: (("frame", "integer"), ["count(*)"]),
            lambda: (("frame", number), ["sum(", made.of(number, 1), ")"]),
            lambda: (("frame", exact), [pick(["min", "max"]), "(", made.of(exact, 1), ")"]),
            lambda: (("frame", "double"), ["avg(", made.of(number, 1), ")"]),
        ]
        if by:
            forms += [
                lambda: (("rank", "integer"), [pick(["row_number()", "rank()", "dense_rank()", "ntile(3)"])]),
                lambda: (("rank", exact), [pick(["lag", "lead"]), "(", made.of(exact, 1), pick([")", ", 2)"])]),
                lambda: (("frame", exact), [pick(["first_value", "last_value"]), "(", made.of(exact, 1), ")"]),
            ]
        return pick(forms)()

    def combined(self):
        kinds = [self.random.choice(EXACT) for _ in range(self.random.randint(1, 2))]
        word = self.random.choice(["union", "union all", "intersect", "except", "intersect all", "except all"])
        left, right = self.select(kinds, 1), self.select(kinds, 1)
        return Node("statement", left, f" {word} ", right, self.ending(kinds))

    def common_table(self):
        kinds = [self.random.choice(EXACT) for _ in range(2)]
        name = self.name()
        inner = self.select(kinds, 2)
        columns = [(f"{name}.c{place}", kind) for place, kind in enumerate(kinds)]
        made = Expressions(self.random, columns)
        out = [self.random.choice(EXACT) for _ in range(2)]
        parts = [made.of(out[0], 2), " as c0, ", made.of(out[1], 2), " as c1"]
        where = self.where(columns)
        return Node("statement", f"with {name} as (", inner, ") select ", *parts, f" from {name}", where, self.ending(out))
