"""What may stop a model: the statistics, the leakage tests, and the run that turns tests into a verdict."""
