"""The node's pages for those who work at a data holder: approving jobs, registering the table, answering subjects."""
