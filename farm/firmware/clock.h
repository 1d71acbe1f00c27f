/* The core clock, taken to full speed by the MCU's recipe. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

enum clock_source {
    CLOCK_RESET = 0,    /* the recipe failed: still the oscillator of reset */
    CLOCK_INTERNAL = 1, /* full speed from the internal oscillator, about 1 % off */
    CLOCK_EXTERNAL = 2, /* full speed from the board's crystal or clock input */
};

enum clock_source clock_start(void);
enum clock_source clock_source(void);
uint32_t clock_hz(void);

#endif
