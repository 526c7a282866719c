"""What knows nothing of the product: database, batching, cache, threads, files, digests."""
