"""What each device of a graph computes and holds, and what the devices send one another."""
