"""Random statements, answered by a server of ours and by DuckDB over the same tables: the answers must be the same.

`python -m differential --seed 7 --statements 100000` tries as many as one likes (with `CORDADA` in the environment), and
prints each that differs, made as small as it stays different. `test_differential.py` tries a few thousand in `make test`.

- `tables.py`: the tables, with nulls, empty texts, extremes, NaN, and one without rows.
- `nodes.py`: a statement as a tree, which is written in either dialect and can be made smaller.
- `expressions.py`, `statements.py`: what is generated.
- `answers.py`: when two answers are the same.
- `dialects.py`: where the two differ and why; the generator writes such things in each dialect's own way, or not at all.
"""
