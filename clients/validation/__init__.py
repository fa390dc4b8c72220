"""The validation report: what a bank's model validators get to read about a joint model, as a page and as JSON.

`build` makes the record from what the label holder has (`Evidence`), `write_validation` writes `validation.json` and
`validation.html` into its own results folder. Nothing of it is sent anywhere.
"""
