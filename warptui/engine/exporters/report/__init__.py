"""The report of a session: a web page that needs nothing else, and tables of all items."""

from warptui.engine.exporters.report.facts import Facts
from warptui.engine.exporters.report.page import write_page
from warptui.engine.exporters.report.tables import write_csv, write_json

__all__ = ["Facts", "write_csv", "write_json", "write_page"]
