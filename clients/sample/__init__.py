"""Synthetic customers of a bank, a shop and a telephone company, for demonstrations and tests.

Nothing in it can belong to a person; see `clients.sample.dirt`.
"""

from clients.sample.people import FEATURES, PARTIES, PERSONAS, Feature, draw_people
from clients.sample.registration import risk_fields, sample_table, segment_fields
from clients.sample.world import World, make_world, write_world

__all__ = [
    "FEATURES", "PARTIES", "PERSONAS", "Feature", "World", "draw_people", "make_world", "risk_fields",
    "sample_table", "segment_fields", "write_world",
]  # fmt: skip
