"""What all handlers share: requests, replies, problems, and the edge."""
