"""The documentation: built from docs/, the docstrings, the command line and the notebooks."""
