"""Recipes: one module per published system; they compose the parts."""
