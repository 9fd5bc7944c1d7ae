"""The wheel and the sdist, and what works with nothing but them."""
