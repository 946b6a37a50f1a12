"""What people read: ``report.html`` and the terminal."""
