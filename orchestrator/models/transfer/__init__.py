"""Words of the transfer of large bytes."""
