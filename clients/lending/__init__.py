"""From a score to a decision at the lender: policy, decisions, reasons, the human route, and what a policy would do."""
