"""The coordinator's process: `silhouette`."""
