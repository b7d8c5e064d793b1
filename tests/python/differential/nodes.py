"""A statement as a tree: written in either dialect, and made smaller while it shows the same fault."""

OURS, DUCKDB = 0, 1


class Node:
    """A piece of a statement. `kind` says what could stand in its place; an `optional` one may be left out."""

    def __init__(self, kind, *parts, duckdb=None, optional=False):
        self.kind, self.parts, self.duckdb, self.optional = kind, list(parts), duckdb, optional

    def text(self, dialect=OURS):
        if dialect == DUCKDB and self.duckdb is not None:
            parts = self.duckdb
        else:
            parts = self.parts
        return "".join(part.text(dialect) if isinstance(part, Node) else part for part in parts)

    def children(self):
        return [part for part in self.parts if isinstance(part, Node)]

    def all(self):
        yield self
        for child in self.children():
            yield from child.all()

    def replaced(self, old, new):
        """The tree with one node in the place of another."""
        if self is old:
            return new
        swap = lambda part: part.replaced(old, new) if isinstance(part, Node) else part
        duckdb = None if self.duckdb is None else [swap(part) for part in self.duckdb]
        return Node(self.kind, *[swap(part) for part in self.parts], duckdb=duckdb, optional=self.optional)


LEAVES = {
    "integer": Node("integer", "1", duckdb=["cast(1 as bigint)"]),
    "decimal": Node("decimal", "cast(1.50 as decimal(10,2))"),
    "double": Node("double", "cast(0.5 as double precision)"),
    "text": Node("text", "'a'"),
    "boolean": Node("boolean", "true"),
    "date": Node("date", "date '2024-02-29'"),
    "timestamp": Node("timestamp", "timestamptz '2024-02-29 10:00:00+00'"),
}


def smaller(statement):
    """Statements that are a little smaller, the smallest first."""
    found = []
    for node in statement.all():
        if node.optional:
            found.append((node, Node("nothing", "")))
        for inside in list(node.all())[1:]:
            if inside.kind == node.kind:
                found.append((node, inside))
        leaf = LEAVES.get(node.kind)
        if leaf and node.children():
            found.append((node, leaf))
    candidates = [statement.replaced(old, new) for old, new in found]
    length = len(statement.text())
    candidates = [one for one in candidates if len(one.text()) < length]
    return sorted(candidates, key=lambda one: len(one.text()))


def shrunk(statement, shows, tries=400):
    """The smallest statement found for which `shows` is still true."""
    while True:
        for one in smaller(statement):
            tries -= 1
            if tries < 0:
                return statement
            if shows(one):
                statement = one
                break
        else:
            return statement
