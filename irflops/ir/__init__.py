"""What a graph is: frozen data, its tree, its order, and the signatures of op types."""
