"""The interfaces of other counters, for those who have code that calls them."""
