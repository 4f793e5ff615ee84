"""The report: figures, tables and one page, all pure functions of the results."""

from experiments.report.page import write_page, write_report

__all__ = ["write_page", "write_report"]
