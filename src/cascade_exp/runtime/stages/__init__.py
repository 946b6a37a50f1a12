"""What a cascade can run as a stage: a model, a tier of models, an exit, a callable, a service."""
