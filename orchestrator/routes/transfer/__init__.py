"""Routes of the transfer of large bytes."""
