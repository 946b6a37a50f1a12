"""One training job: the pool of models, how they learn, what is recorded of them."""
