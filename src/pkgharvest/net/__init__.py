"""The network: one line from a request to its judged answer."""
