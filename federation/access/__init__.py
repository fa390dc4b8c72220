"""Who may come in at an edge, and as what: accounts, logins, tokens, an issuer's word, and what takes two persons."""
