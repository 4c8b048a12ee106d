"""A live OneFlow graph into one file."""
