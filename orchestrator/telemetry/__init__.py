"""Logs and metrics, and when they may be written."""
