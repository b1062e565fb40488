"""Whether the champion still fits the world: drift, predictions, late labels, and what to do about it."""
