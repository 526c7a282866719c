"""HTTP for large bytes: uploads in parts, and delivery."""
