"""Rules of the transfer of large bytes."""
