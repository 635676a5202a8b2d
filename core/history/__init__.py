"""The history of a workspace's work, by minute and by hour: small roll-ups from which charts are read.

Reading one costs the same with a thousand jobs and with a million: the documents are as many as the minutes.
"""
