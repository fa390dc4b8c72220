"""Benchmarks against phe, openmined-psi and SecretFlow's HEU: `make bench`, read with docs/benchmarks.md."""
