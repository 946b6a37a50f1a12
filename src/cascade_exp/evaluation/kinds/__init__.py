"""The kinds of cascade, ``cascade=…``: what their stages are and which cascades are looked at."""
