"""What `./dev` does: only for work on this repository, and only with Python's standard library."""
