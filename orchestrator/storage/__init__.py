"""Where the bytes of large blobs live: one small interface, several places."""
