"""The coordinator's database: jobs, words, publications and accounts; never a row, an identifier or a key."""
