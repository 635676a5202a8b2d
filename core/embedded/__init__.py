"""One command starts it all: the embedded stores, and every process of the Procfile, under a supervisor."""
