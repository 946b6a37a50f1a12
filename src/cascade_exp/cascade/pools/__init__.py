"""What gives stages: pools of recorded outputs as the engine sees them."""
