"""What is tried, rung by rung, on a board that goes on failing."""
