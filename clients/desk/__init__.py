"""The consent desk: how a data holder's own systems tell its node what subjects have said."""
