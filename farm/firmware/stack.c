#include "stack.h"

#include "memory.h"

/* The pattern differs from word to word: a copied or cleared buffer never looks like it. */
static uint32_t paint(uint32_t pattern, const volatile uint32_t *word) {
    return pattern ^ (uint32_t)(uintptr_t)word;
}

__attribute__((noinline)) struct stack_depth stack_measure(uint32_t pattern, void (*work)(void)) {
    uint32_t here;
    __asm volatile("mov %0, sp" : "=r"(here));
    const volatile uint32_t *end = (const volatile uint32_t *)(uintptr_t)here;
    for (volatile uint32_t *word = stack_limit; word < end; ++word) *word = paint(pattern, word);
    work();
    const volatile uint32_t *deepest = stack_limit;
    while (deepest < end && *deepest == paint(pattern, deepest)) ++deepest;
    return (struct stack_depth){
        .used_bytes = (uint32_t)((uintptr_t)stack_top - (uintptr_t)deepest),
        .intact_bytes = (uint32_t)((uintptr_t)deepest - (uintptr_t)stack_limit),
    };
}
