"""What a graph is as a transformer, and what the closed forms of the literature say that one costs."""
