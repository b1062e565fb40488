"""Which model is which: the artefact, its run, its lineage, and who is champion."""
