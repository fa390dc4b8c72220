"""Jobs that are proposed to this node: what each would make leave it, and who has said yes or no to it here."""
