"""Work that opens transactions without HTTP."""
