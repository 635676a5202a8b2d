"""The HTTP door: knows Flask and the contract, and leaves the thinking to core."""
