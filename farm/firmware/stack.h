/* How deep the stack gets, by painting it. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

struct stack_depth {
    uint32_t used_bytes;   /* from the top down to the deepest damaged word */
    uint32_t intact_bytes; /* below that; few or none mean that the depth is only a lower bound */
};

/* Paints what is free below the caller, runs work, looks how far it got. */
struct stack_depth stack_measure(uint32_t pattern, void (*work)(void));

#endif
