"""Measure films from a terminal."""
