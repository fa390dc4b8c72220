"""Mechanisms and rules: no input or output, no Flower, no tables, no web."""
