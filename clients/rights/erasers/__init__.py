"""Deleting one kind of artefact each, for many subjects at once; `clients.rights.erasing` has their order."""
