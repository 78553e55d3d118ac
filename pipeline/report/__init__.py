"""The report of a run: one HTML file that a person opens in the morning."""

from .report import write_report

__all__ = ["write_report"]
