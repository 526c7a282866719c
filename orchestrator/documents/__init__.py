"""Pure functions on JSON documents and workflows: no I/O, no state."""
