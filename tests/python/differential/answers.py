"""When two answers are the same: as many rows with the same values, in any order.

Numbers are compared by value and not by type. Where one of two is a double they are the same to nine digits.
"""

import datetime
import decimal
import math
from collections import Counter


def plain(value):
    """A value without what does not matter: its type of number, its zone, the sign of zero."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, decimal.Decimal)):
        return decimal.Decimal(value).normalize() + 0
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc) if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    return value


def rows(table):
    """The rows of an Arrow table."""
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns)) if columns else [()] * table.num_rows


def near(a, b):
    if type(a) is type(b) and not isinstance(a, float):
        if not isinstance(a, decimal.Decimal):
            return a == b
        if a == b:
            return True
    numbers = (float, decimal.Decimal)
    if isinstance(a, numbers) and isinstance(b, numbers):
        a, b = float(a), float(b)
        return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or abs(a - b) < 1e-12
    return a == b


def same(ours, theirs):
    """Whether two tables have the same rows."""
    ours, theirs = Counter(rows(ours)), Counter(rows(theirs))
    if ours.total() != theirs.total():
        return False
    left, right = list((ours - theirs).elements()), list((theirs - ours).elements())
    for row in left:
        place = next((place for place, other in enumerate(right) if alike(row, other)), None)
        if place is None:
            return False
        del right[place]
    return True


def alike(a, b):
    """Whether two rows are nearly the same."""
    return len(a) == len(b) and all(map(near, a, b))
