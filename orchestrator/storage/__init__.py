"""Where the bytes of large blobs live: one small interface, and an implementation for each place."""
