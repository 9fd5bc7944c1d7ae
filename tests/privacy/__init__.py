"""No key, prompt or signature is anywhere but where it must be."""
