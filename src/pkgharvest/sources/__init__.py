"""The services that are read, one module each: requests and answers, no connections."""
