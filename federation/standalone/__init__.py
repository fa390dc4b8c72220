"""Files that leave the project and work alone, with Python's standard library and nothing else."""
