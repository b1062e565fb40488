"""What the gates promise, tried on drawn test sets."""
