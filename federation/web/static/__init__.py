"""Files for browsers; `VERSIONS.md` says which are others', and under what licence."""
