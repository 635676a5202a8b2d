"""Jobs: work as a document in MongoDB, which may be carried out by any worker and is finished once."""
