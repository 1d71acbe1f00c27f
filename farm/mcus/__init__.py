"""Facts about each microcontroller, as data: memories, clock recipe, UART."""

from farm.mcus.mcu import ClockRecipe, Mcu, Memory, Register, Step, Uart, load_mcu

__all__ = ["ClockRecipe", "Mcu", "Memory", "Register", "Step", "Uart", "load_mcu"]
