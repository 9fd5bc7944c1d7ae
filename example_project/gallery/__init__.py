"""The gallery: films that people ask for, and what becomes of them."""
