"""One module per stage of `dvc.yaml`: pure functions, then a `main` that reads, calls, writes."""
