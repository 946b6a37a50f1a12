"""Every cascade at every threshold, exactly."""
