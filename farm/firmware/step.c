#include "step.h"

#include "core.h"

/* At 16 MHz about 100 ms, which covers the slowest start of an oscillator or a PLL. */
#define POLL_LIMIT 200000u

static int poll(const struct step *step) {
    for (uint32_t tries = 0; tries < POLL_LIMIT; ++tries) {
        if ((REGISTER(step->address) & step->mask) == step->value) return 1;
    }
    return 0;
}

static void write(const struct step *step) {
    uint32_t kept = step->action == STEP_MODIFY ? REGISTER(step->address) & ~step->mask : 0;
    REGISTER(step->address) = kept | step->value;
    (void)REGISTER(step->address); /* a clock needs a read before its peripheral is used */
}

int steps_run(const struct step *steps, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) {
        if (steps[index].action != STEP_POLL) {
            write(&steps[index]);
        } else if (!poll(&steps[index])) {
            return 0;
        }
    }
    return 1;
}
