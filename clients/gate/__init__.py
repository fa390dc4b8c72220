"""The gate: the only way from a job to a customer table, inside the data path.

`policy` holds what was activated; `gate.Gate` decides whether a job may begin and go on, and loads the rows it may see;
`rows` and `table` say who and what is left out, and why; `watch` notices withdrawals while a job computes; `retention`
removes what has had its time.
"""
