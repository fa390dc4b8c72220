"""What the pages and routes of both edges stand on: who may, what is refused and how it is told, and how pages look."""
