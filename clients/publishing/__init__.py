"""What this node tells the coordinator's catalogue of itself: schemas, purposes, models, audiences, request counts."""
