/* Register steps: the recipes of an MCU's data file, walked in order. */
#ifndef STEP_H
#define STEP_H

#include <stdint.h>

enum step_action { STEP_MODIFY, STEP_WRITE, STEP_POLL };

struct step {
    uint32_t action; /* enum step_action */
    uint32_t address;
    uint32_t mask;
    uint32_t value;
};

/* Walks the steps; 0 when a polled value never came. */
int steps_run(const struct step *steps, uint32_t count);

#define STEPS_RUN(table) steps_run((table), sizeof(table) / sizeof((table)[0]))

#endif
