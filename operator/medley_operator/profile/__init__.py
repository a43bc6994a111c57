"""Measures a live engine under load, and turns measurements into a ModelProfile."""
