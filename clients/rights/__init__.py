"""Rights of data subjects at a node: requests, their cases, deletion, receipts (PIPL 44 to 50)."""
