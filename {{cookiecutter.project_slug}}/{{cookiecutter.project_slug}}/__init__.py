"""The project: data in, a gated and registered model out."""
