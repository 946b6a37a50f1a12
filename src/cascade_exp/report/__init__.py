"""What people see: the typed results, tables, plots, ``report.html`` and W&B."""
