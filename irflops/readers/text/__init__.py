"""What Lark needs: the grammars compiled once, statements that repeat, and faults in human words."""
