"""The bodies of the two entry points: configuration in, a finished job folder out."""
