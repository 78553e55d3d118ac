"""What is measured, against whom, and how to repeat it: ``make bench``."""
