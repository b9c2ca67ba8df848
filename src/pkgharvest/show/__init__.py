"""Records for people: on a terminal, as Markdown, as a page."""
