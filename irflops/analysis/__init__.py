"""The one object that reports, diffs and audits read, and what is worked out from it."""
