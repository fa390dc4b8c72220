"""The data holder's process: `silhouette-node`."""
