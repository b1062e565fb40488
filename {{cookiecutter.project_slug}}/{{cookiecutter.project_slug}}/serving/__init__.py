"""Answers from a registered model."""
