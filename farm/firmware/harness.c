#include "harness.h"

#include "board.h"
#include "cache.h"
#include "clock.h"
#include "cycles.h"
#include "protocol.h"
#include "usart.h"

/* For a person at the console; the zero behind it keeps it apart from frames. */
static void greet(void) {
    static const char text[] = "\r\ntinyrack harness on " BOARD_TYPE "\r\n";
    for (const char *next = text; *next; ++next) usart_write((uint8_t)*next);
    usart_write(0);
}

void harness_main(void) {
    clock_start();
    cache_start();
    usart_start();
    cycles_start();
    greet();
    protocol_serve();
}
