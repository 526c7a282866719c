"""Tortures: runs that try to break a real server of their own, and say what they saw."""
