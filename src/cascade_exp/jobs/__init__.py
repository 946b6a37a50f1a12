"""What every job shares: entry, folder, restart, sweeps, trials, progress."""
