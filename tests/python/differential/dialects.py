"""Where we and DuckDB differ on purpose: ours is PostgreSQL's answer. Each says what is done about it here.

Written in each dialect's own way:

| what | ours | DuckDB | because |
|---|---|---|---|
| `7 / 2` of integers | 3 | 3.5, so `//` is written | PostgreSQL divides integers to integers |
| an integer that is written | bigint | integer, so a cast is written | the engine has one type of literal |
| a decimal times a bigint | of 28 digits | of 37, so a cast is written | beside one with more behind the point DuckDB rounds it |
| `date_trunc(…) <> constant`, of null | null | true, so an interval of nothing is added | a fault of DuckDB's |
| `date_trunc` of a date | a timestamp | a date, so both are cast to one | PostgreSQL's result is a timestamp |

Not generated:

| what | because |
|---|---|
| a division by zero | ours is an error, DuckDB's is null or infinity: divisors are `nullif(x, 0)` |
| sums of doubles that meet a comparison, a group or a limit | they depend on the order of addition |
| decimals' quotients within other expressions | DuckDB divides them as doubles |
| `round` of doubles | PostgreSQL rounds a half to the even neighbour, DuckDB away from zero |
| doubles and decimals as text | they are written with other digits |
| `order by` without `nulls first` or `last` | DuckDB has nulls last always, PostgreSQL as the greatest value |
| results beyond 38 digits | each has limits of its own |
| `1 in (x, y)`, a constant before columns | a fault of ours: a filter takes the list for constant |
| `'a' not in (select x …)`, a constant before a subquery with nulls | a fault of ours: the null is not seen |

Generated, and a refusal of ours is let pass:

| what | because |
|---|---|
| two windows or groups that differ by a cast alone | a fault of ours: the engine gives both one name and refuses the plan |

Generated, and a refusal of DuckDB's is let pass:

| what | because |
|---|---|
| products of decimals that it has no room for | it decides by the types' digits, where ours has as many as the values need |

Compared with an allowance: numbers, if one of the two is a double, are the same to nine digits (`answers.py`).
"""

#: What the refusal of two expressions that differ by a cast alone says.
ONE_NAME = "Schema contains duplicate unqualified field name"

#: What DuckDB says of a product of decimals that it has no room for.
NO_ROOM = "Overflow in multiplication of DECIMAL"
