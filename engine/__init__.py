"""An int8 network in, a C library out."""
