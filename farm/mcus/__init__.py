"""Facts of each microcontroller, as data."""
