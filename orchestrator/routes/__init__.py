"""Flat lists of routes, and how they are described."""
