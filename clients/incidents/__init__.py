"""Incidents with personal information: register, clocks, letters (PIPL 57)."""
