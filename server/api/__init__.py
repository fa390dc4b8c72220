"""The coordinator's interface for programs, at /api/v1: a file for each noun. The pages are its neighbours."""
