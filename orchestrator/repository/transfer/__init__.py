"""SQL for uploads."""
