"""Morizo's recipes: three stores, and what is alike in them."""
