"""What a device holds over a step: OneFlow's own memory plan, worked out from the graph."""
