"""Lists of people for marketing: built from results, checked again at export, recalled (PIPL 24, 47)."""
