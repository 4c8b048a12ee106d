"""How other counters count: one table per tool. A convention says what the tool would print for the code behind a graph."""
