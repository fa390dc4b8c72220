"""The page on which a data subject sees who uses its data for what, and says what is to become of it (PIPL 15, 44)."""
