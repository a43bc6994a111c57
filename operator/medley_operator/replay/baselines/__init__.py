"""Policies that Medley is compared with, each in a world of its own with the same arrivals and the same chances."""
