"""The coordinator's pages, for people: what runs, what waits for whom, what was released, and the proof of it all."""
