"""Databases of older versions, with data: they migrate to this one, and what waited goes on."""
