"""The shapes of answers, as the specification publishes them. Answers are made in `core`; tests hold the two
together: whatever the tests of `web` are answered must fit, with no field too many."""
