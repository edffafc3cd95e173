"""The report of a fleet as one HTML page that needs nothing else: tables, calendar, drift over time."""
