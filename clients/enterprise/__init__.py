"""Firms at a node: its part of judging them, what the bank's own people get, and due-diligence tasks."""
