"""Random statements have the answers that DuckDB gives: `differential/` says which and how."""

import os

from differential.nodes import OURS
from differential.run import differences, sides

SEED = os.environ.get("CORDADA_TEST_SEED", "7")
STATEMENTS = 2000


def test_random_statements_are_answered_as_duckdb_answers_them(tmp_path):
    with sides(tmp_path) as both:
        found = list(differences(both, SEED, STATEMENTS))
    texts = [f"{SEED}/{number}: {statement.text(OURS)}\n    {what}" for number, statement, what in found]
    assert not texts, "\n".join(texts)
