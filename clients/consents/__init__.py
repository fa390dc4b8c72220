"""A node's consents: the store that the gate asks, and how words get into it."""
