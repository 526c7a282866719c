"""The process `serve`: the parent and what it starts."""
