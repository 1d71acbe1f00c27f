/* Old (F4) and new (F7) USARTs differ in addresses and in how they are switched on, which is
 * data; the status bits used here lie in the same places.
 *
 * A byte takes 10 us, a thousand cycles: the loop that takes frames apart keeps up with it, and
 * the host sends a request only when the last one is answered. So no interrupt handler and no
 * ring buffer are needed. What arrives while the harness computes is lost, and the CRC tells. */
#include "usart.h"

#include "board.h"
#include "clock.h"
#include "core.h"
#include "step.h"

#define STATUS_RECEIVED (1u << 5)
#define STATUS_SENT (1u << 6)
#define STATUS_EMPTY (1u << 7)
#define WAIT_LIMIT 100000u /* many bytes' time, a few ms */

static const struct step setup[] = {BOARD_USART_SETUP};
static const struct step enable[] = {BOARD_USART_ENABLE};

void usart_start(void) {
    STEPS_RUN(setup);
    REGISTER(BOARD_USART_DIVISOR) = clock_source() == CLOCK_RESET
                                        ? BOARD_USART_DIVISOR_AT_RESET_CLOCK
                                        : BOARD_USART_DIVISOR_AT_CLOCK;
    STEPS_RUN(enable);
    NVIC_ISER(BOARD_USART_IRQ / 32u) = 1u << (BOARD_USART_IRQ % 32u);
}

uint8_t usart_read(void) {
    while ((REGISTER(BOARD_USART_STATUS) & STATUS_RECEIVED) == 0) {
        core_wait_for_interrupt();
        NVIC_ICPR(BOARD_USART_IRQ / 32u) = 1u << (BOARD_USART_IRQ % 32u);
    }
    return (uint8_t)REGISTER(BOARD_USART_RECEIVE);
}

/* Bounded: a transmitter that is stuck must not keep the board from a later request. */
static void wait_for(uint32_t bit) {
    for (uint32_t tries = 0; tries < WAIT_LIMIT; ++tries) {
        if (REGISTER(BOARD_USART_STATUS) & bit) return;
    }
}

void usart_write(uint8_t byte) {
    wait_for(STATUS_EMPTY);
    REGISTER(BOARD_USART_TRANSMIT) = byte;
}

void usart_flush(void) { wait_for(STATUS_SENT); }
