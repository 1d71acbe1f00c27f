#include "clock.h"

#include "board.h"
#include "step.h"

static const struct step prepare[] = {BOARD_CLOCK_PREPARE};
static const struct step external[] = {BOARD_CLOCK_EXTERNAL};
static const struct step pll_external[] = {BOARD_CLOCK_PLL_EXTERNAL};
static const struct step pll_internal[] = {BOARD_CLOCK_PLL_INTERNAL};
static const struct step run[] = {BOARD_CLOCK_RUN};

static enum clock_source source;

enum clock_source clock_start(void) {
    STEPS_RUN(prepare);
    int is_external = STEPS_RUN(external);
    if (is_external) {
        STEPS_RUN(pll_external);
    } else {
        STEPS_RUN(pll_internal);
    }
    if (!STEPS_RUN(run)) {
        source = CLOCK_RESET;
    } else {
        source = is_external ? CLOCK_EXTERNAL : CLOCK_INTERNAL;
    }
    return source;
}

enum clock_source clock_source(void) { return source; }

uint32_t clock_hz(void) { return source == CLOCK_RESET ? BOARD_RESET_CLOCK_HZ : BOARD_CLOCK_HZ; }
