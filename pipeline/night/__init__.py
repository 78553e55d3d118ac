"""A night reduced: frames sorted, masters built, the science chain run, and a report."""
