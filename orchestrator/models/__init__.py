"""Vocabulary: frozen structs without I/O."""
