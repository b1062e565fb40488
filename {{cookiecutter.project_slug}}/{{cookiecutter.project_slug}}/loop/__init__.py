"""The back-test of the whole loop: the table's own months, served, monitored, retrained and promoted or refused."""
