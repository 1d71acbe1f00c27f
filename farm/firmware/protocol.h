/* Requests of the host and their answers. Each may be repeated: none leaves a state behind that
 * would change the answer of the next. Numbers are 32-bit words, little-endian.
 *
 *   HELLO  nonce                 -> nonce, the banner, see banner.c
 *   LOAD   offset, bytes         -> offset, count     part of the inputs, behind each other
 *   RUN    input CRC, cold       -> cycles, output CRC    one inference, caches empty if cold
 *   READ   offset, count         -> bytes             part of the outputs of the last RUN
 *   TIME   input CRC, warm, n    -> n cycle counts    behind `warm` runs that are not timed
 *   TRACE  input CRC, first, n   -> n cycle counts of layers
 *   STACK  input CRC             -> used, intact; used, intact    with two patterns, in bytes
 *   CLOCK  marks, spacing        -> marks replies: index, cycle count    spacing in cycles
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "frame.h"

enum protocol_kind {
    PROTOCOL_HELLO = 1,
    PROTOCOL_LOAD = 2,
    PROTOCOL_RUN = 3,
    PROTOCOL_READ = 4,
    PROTOCOL_TIME = 5,
    PROTOCOL_TRACE = 6,
    PROTOCOL_STACK = 7,
    PROTOCOL_CLOCK = 8,
    PROTOCOL_REPLY = 0x80, /* added to the command */
    PROTOCOL_FAULT = 0xFF, /* unasked: CFSR, HFSR, BFAR, SP, PC, LR */
};

/* The one frame there is, for requests and replies. */
extern struct frame protocol_frame;

__attribute__((noreturn)) void protocol_serve(void);

#endif
