"""Refuses malformed problems before any arithmetic touches them."""
