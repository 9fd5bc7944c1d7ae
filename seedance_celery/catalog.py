"""The models and what an order may ask of them: the public address of `api.catalog`."""

from .api.catalog import CATALOG, DEFAULT_MODEL, RATIOS, Model, image_type, validate_create

__all__ = ["CATALOG", "DEFAULT_MODEL", "RATIOS", "Model", "image_type", "validate_create"]
