"""What no form says and all readers need: types, phases, runs, kinds, and the graph that comes of them."""
