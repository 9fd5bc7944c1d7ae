"""Buying: limits, late replies, and servers that take the money and do not say so."""
