"""The report page and the model card: what a run found, for people who were not there."""
