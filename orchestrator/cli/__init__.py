"""The command line: HTTP requests, tables and exit codes; no rules of the domain."""
