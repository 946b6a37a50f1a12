"""One module per data source, each with a function ``load`` that returns a ``Source``.

``data.source=NAME`` finds the module by its name; the arguments of ``load`` are keys of the group
``data``.
"""
