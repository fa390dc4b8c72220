"""Jobs at the coordinator: proposed, answered by every party, run, followed to their end."""
