"""Hydra finds its plug-ins by walking this namespace; ours is ``surviving_sweeper``."""
