"""The drive: files of workspaces and their agents, kept on a disk or in a bucket."""
