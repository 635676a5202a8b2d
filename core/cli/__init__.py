"""The command line for operators: `python -m core.cli`. A file a group of commands, `table.py` lists them."""
