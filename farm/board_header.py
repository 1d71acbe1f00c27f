"""board.h: one MCU's data file and one board type as the C constants that the harness reads."""

import re
from collections.abc import Sequence

from farm.errors import ImageError
from farm.mcus import Mcu, Step

_BOARD_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def board_header(mcu: Mcu, board_type: str) -> str:
    """The text of board.h; ImageError when the board type is no plain name."""
    if not _BOARD_TYPE.fullmatch(board_type):
        raise ImageError(f"board type {board_type!r} is not a plain name of up to 63 characters")
    constants = {**_core(mcu), **_usart(mcu), **_steps(mcu)}
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    title = f"/* {mcu.name} on {board_type}: generated from the MCU's data file. */"
    guard = ["#ifndef BOARD_H", "#define BOARD_H", ""]
    text = f'#define BOARD_TYPE "{board_type}"'
    return "\n".join([title, *guard, text, *lines, "", "#endif", ""])


def _core(mcu: Mcu) -> dict[str, str]:
    is_m7 = int(mcu.core == "cortex-m7")
    return {
        "BOARD_CLOCK_HZ": f"{mcu.clock_hz}u",
        "BOARD_RESET_CLOCK_HZ": f"{mcu.reset_clock_hz}u",
        "BOARD_HAS_L1_CACHE": str(is_m7),
        "BOARD_HAS_DWT_LOCK": str(is_m7),
        "BOARD_UNIQUE_ID": f"{mcu.unique_id_address:#010x}u",
        "BOARD_CHECKS": ", ".join(f"{check.address:#010x}u" for check in mcu.checks),
    }


def _usart(mcu: Mcu) -> dict[str, str]:
    uart = mcu.uart
    return {
        "BOARD_USART_IRQ": f"{uart.irq}u",
        "BOARD_USART_STATUS": f"{uart.status:#010x}u",
        "BOARD_USART_RECEIVE": f"{uart.receive:#010x}u",
        "BOARD_USART_TRANSMIT": f"{uart.transmit:#010x}u",
        "BOARD_USART_DIVISOR": f"{uart.divisor:#010x}u",
        "BOARD_USART_DIVISOR_AT_CLOCK": f"{uart.divisor_at_clock:#x}u",
        "BOARD_USART_DIVISOR_AT_RESET_CLOCK": f"{uart.divisor_at_reset_clock:#x}u",
    }


def _steps(mcu: Mcu) -> dict[str, str]:
    return {
        "BOARD_CLOCK_PREPARE": _table(mcu.clock.prepare),
        "BOARD_CLOCK_EXTERNAL": _table(mcu.clock.external),
        "BOARD_CLOCK_PLL_EXTERNAL": _table(mcu.clock.pll_external),
        "BOARD_CLOCK_PLL_INTERNAL": _table(mcu.clock.pll_internal),
        "BOARD_CLOCK_RUN": _table(mcu.clock.run),
        "BOARD_COLD": _table(mcu.cold),
        "BOARD_USART_SETUP": _table(mcu.uart.setup),
        "BOARD_USART_ENABLE": _table(mcu.uart.enable),
    }


def _table(steps: Sequence[Step]) -> str:
    rows = (
        f"    {{STEP_{step.do.upper()}, {step.address:#010x}u, {step.mask:#010x}u, "
        f"{step.value:#010x}u}}, /* {step.register} */"
        for step in steps
    )
    return " \\\n" + " \\\n".join(rows)
