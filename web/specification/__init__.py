"""The specification as it is published: what flask-openapi gathers of the views, and the rest."""
