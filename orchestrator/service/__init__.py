"""Rules of the domain: no HTTP, no SQL, no transaction opened."""
