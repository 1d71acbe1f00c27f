"""The entry point through which pyOCD finds virtual boards."""
