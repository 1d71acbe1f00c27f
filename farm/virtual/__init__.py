"""The virtual board: an emulated Cortex-M behind a debug port."""
