"""How much of a .tflite file is read: far above any microcontroller, far below any machine.

Weights stay views of the file's bytes; what is copied (names, scales, biases) is bounded here.
So a file costs at most 256 MiB while it is read and MAX_FILE_BYTES + MAX_PARAMETER_BYTES after.
"""

MAX_FILE_BYTES = 1 << 25
MAX_PARAMETER_BYTES = 1 << 26
"""Weights, scales and biases of all operators: several may share one stretch of the file."""
MAX_CHANNELS = 1 << 17
"""Output channels of all operators with weights: each costs a requantisation factor."""
MAX_OPERATORS = 2048
MAX_TENSORS = 8192
MAX_OPERANDS = 66
"""Inputs, or outputs, of one operator or of the network."""
MAX_RANK = 8
MAX_NAME_BYTES = 1 << 22
"""Of all tensors' names together."""
MAX_NAME_LETTERS = 200
