/* The state of exceptions, shared with Python: mirrored by farm/virtual/exception_state.py. */
#ifndef EXCEPTIONS_H
#define EXCEPTIONS_H

#include "board.h"

enum { NONE = 0, NMI = 2, HARD_FAULT = 3, MEM_MANAGE = 4, BUS_FAULT = 5, SVC = 11, PEND_SV = 14, SYSTICK = 15, FIRST_IRQ = 16 };
enum { SET_WORDS = 16, EXCEPTIONS = 32 * SET_WORDS, MEMORIES = 12 };

/* Which entry of ids[] is the Unicorn number of which register. */
enum {
    ID_R0, ID_R1, ID_R2, ID_R3, ID_R12, ID_LR, ID_PC, ID_SP, ID_MSP, ID_PSP, ID_XPSR, ID_CONTROL,
    ID_PRIMASK, ID_BASEPRI, ID_FAULTMASK, ID_FPSCR, ID_D0, IDS = ID_D0 + 8
};

/* Plain memory as exception frames and vectors see it. */
struct memory {
    u32 base, size;
    u8 *bytes;
    u64 writable;
};

struct exceptions {
    u32 pending[SET_WORDS], active[SET_WORDS], enabled[SET_WORDS], lines[SET_WORDS]; /* bit n: n */
    u8 priorities[EXCEPTIONS];
    u32 words[1024]; /* registers of the system control space that only remember */
    u32 count;       /* exceptions that exist, with the 16 of the core */
    u32 group_shift; /* AIRCR.PRIGROUP */
    u32 control, reload; /* SysTick */
    u64 start;           /* the cycle at which its counter last was 0 */
    i64 seen;            /* periods already reported through COUNTFLAG */
    u64 alarm;           /* Python wants to know when cycles reaches this */
    u32 event;           /* of WFE */
    u32 slow;            /* Python does all of it */
    u32 intr;            /* Unicorn's exception that Python is to see; 0: none */
    u32 unsaved;         /* Python is to save the FP registers, as FPCAR says */
    u32 adrift;          /* Unicorn would not tell where a fault is: see attend() */
    u32 code_first, code_end; /* no frame is written here: code was executed */
    u32 entry, exit;          /* cycles */
    u32 tail_chain;           /* cycles; 0: it does not exist */
    u32 late_arrival;         /* cycles; 0: it does not exist */
    u32 extended_save, extended_restore;
    int ids[IDS];
    u32 memories;
    struct memory memory[MEMORIES];
    struct counters *counters;
    int (*reg_write)(void *uc, int id, const void *value);
    u32 (*load)(u32 offset, u32 size); /* of the system control space, in Python */
    void (*store)(u32 offset, u32 size, u32 value);
};

enum { SHCSR = 0xD24 / 4, MEMFAULTENA = 1 << 16, BUSFAULTENA = 1 << 17 };
enum { VTOR = 0xD08 / 4, SCR = 0xD10 / 4, CCR = 0xD14 / 4, CPACR = 0xD88 / 4 };
enum { FPCCR = 0xF34 / 4, FPCAR = 0xF38 / 4 };
enum { ASPEN = 1u << 31, LSPEN = 1u << 30, LSPACT = 1, FP_USER = 2, FP_THREAD = 1 << 3 };
enum { HFRDY = 1 << 4, MMRDY = 1 << 5, BFRDY = 1 << 6 };

static inline int has(const u32 *set, u32 n)
{
    return set[n >> 5] >> (n & 31) & 1;
}

static inline void add(u32 *set, u32 n)
{
    set[n >> 5] |= 1u << (n & 31);
}

static inline void discard(u32 *set, u32 n)
{
    set[n >> 5] &= ~(1u << (n & 31));
}

/* nvic.c */
struct masks {
    u32 primask, basepri, faultmask;
};
int group(const struct exceptions *x, u32 number);
int running(const struct exceptions *x, const struct masks *masks);
u32 next(const struct exceptions *x, const struct masks *masks);
void pend(struct exceptions *x, u32 number);
u64 next_tick(const struct exceptions *x);
void tick(struct exceptions *x, u64 now);

#endif
