"""The demo: a workspace with a realistic day of work behind it, for whoever wants to see the dashboard full.

It is written as the work itself would have written it. No provider is asked, and no other workspace touched.
"""
