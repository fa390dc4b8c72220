"""Protocols between data holders: all roles of one protocol in one file, no input or output."""
