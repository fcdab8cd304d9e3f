"""What the machine does. Knows no interface."""
