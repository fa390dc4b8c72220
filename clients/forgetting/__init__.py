"""Models after a deletion: which are tainted, what is trained again, what may be released (PIPL 47)."""
