"""Shows what an analysis holds: on a terminal, as JSON, CSV, Markdown or LaTeX. Arranges, and computes nothing."""
