#include "fault.h"

#include "core.h"
#include "memory.h"
#include "protocol.h"
#include "usart.h"

#define EXCEPTION_FRAME_WORDS 8u

/* The program counter and return address that the core stacked, if it could. */
static void copy_addresses(uint32_t *words, const uint32_t *stacked) {
    words[4] = words[5] = 0;
    if (stacked < stack_limit || stacked + EXCEPTION_FRAME_WORDS > stack_top) return;
    words[4] = stacked[6];
    words[5] = stacked[5];
}

__attribute__((used, noreturn)) static void report(const uint32_t *stacked) {
    struct frame *frame = &protocol_frame;
    frame->version = FRAME_VERSION;
    frame->kind = PROTOCOL_FAULT;
    frame->sequence = 0;
    frame->status = FRAME_OK;
    uint32_t *words = frame->payload.words;
    words[0] = SCB_CFSR;
    words[1] = SCB_HFSR;
    words[2] = SCB_BFAR;
    words[3] = (uint32_t)(uintptr_t)stacked;
    copy_addresses(words, stacked);
    frame->payload_bytes = 24;
    usart_write(0); /* ends a frame that the fault cut short */
    frame_send(frame);
    usart_flush();
    for (;;) core_wait_for_interrupt();
}

/* The report runs from the top of the stack: the stack may be what failed. */
__attribute__((naked)) void fault_handler(void) {
    __asm volatile("mrs r0, msp\n\t"
                   "ldr r1, =stack_top\n\t"
                   "msr msp, r1\n\t"
                   "b %c0\n\t"
                   ".ltorg" ::"i"(report));
}
