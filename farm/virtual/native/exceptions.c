/* Exception entry and return in the common case: what enter() and leave() of exceptions.py and
 * core.py do, without leaving Unicorn. Whatever is unusual changes nothing here and is left to
 * Python: frames and vectors outside plain memory, invalid returns, faults and their escalation,
 * an active memory protection unit, single steps.
 *
 * Unicorn goes on at a PC that is written inside a block hook or an interrupt hook.
 */
#include "exceptions.h"

enum { NPRIV = 1, SPSEL = 2, FPCA = 4, THUMB = 1 << 24, ALIGNED = 1 << 9, MODE = 0x1FF };
enum { BASIC_WORDS = 8, FP_WORDS = 17, EXTENDED_WORDS = 26, KEPT = 0xF80F0000 };
enum { INTR_SVC = 2, INTR_FETCH = 3, INTR_RETURN = 8 };
enum { SLEEPONEXIT = 2, NONBASETHRDENA = 1, STATUS_SYSTEM = 0xE0000000 };
static const int STACKED[6] = {ID_R0, ID_R1, ID_R2, ID_R3, ID_R12, ID_LR};

static u32 get(struct exceptions *x, void *uc, int id)
{
    u32 value = 0;
    x->counters->reg_read(uc, x->ids[id], &value);
    return value;
}

static void set(struct exceptions *x, void *uc, int id, u32 value)
{
    x->reg_write(uc, x->ids[id], &value);
}

static struct masks masks_of(struct exceptions *x, void *uc)
{
    struct masks m = {get(x, uc, ID_PRIMASK), get(x, uc, ID_BASEPRI), get(x, uc, ID_FAULTMASK)};
    return m;
}

/* Where `words` words at `address` lie, all in one memory; 0: elsewhere. */
static u32 *plain(struct exceptions *x, u32 address, u32 words, int writing)
{
    if (writing && address < x->code_end && address + 4 * words > x->code_first)
        return 0;
    for (u32 i = 0; i < x->memories; i++) {
        struct memory *m = &x->memory[i];
        u32 offset = address - m->base;
        if (offset < m->size && m->size - offset >= 4 * words && (m->writable || !writing))
            return address & 3 ? 0 : (u32 *)(m->bytes + offset);
    }
    return 0;
}

/* The handler of an exception; 0: not one that can be entered here. */
static u32 handler(struct exceptions *x, u32 number)
{
    u32 *vector = plain(x, x->words[VTOR] + 4 * number, 1, 0);
    return vector && *vector & 1 && *vector < STATUS_SYSTEM ? *vector : 0;
}

static int fpu_on(const struct exceptions *x)
{
    return (x->words[CPACR] >> 20 & 0xF) == 0xF;
}

static void move_fp(struct exceptions *x, void *uc, u32 *words, int saving)
{
    int (*move)(void *, int, void *) =
        saving ? x->counters->reg_read : (int (*)(void *, int, void *))x->reg_write;
    for (int d = 0; d < 8; d++)
        move(uc, x->ids[ID_D0 + d], words + 2 * d);
    move(uc, x->ids[ID_FPSCR], words + 16);
}

/* The handler starts: it is active, and the pipeline is empty. */
static void start(struct exceptions *x, void *uc, u32 number, u32 target)
{
    struct counters *c = x->counters;
    discard(x->pending, number);
    add(x->active, number);
    c->prev = c->before = 0;
    c->attention = 1;
    x->event = 1;
    set(x, uc, ID_PC, target);
}

/* FPCCR and FPCAR when the FP registers stay where they are (DDI 0403E, UpdateFPCCR). */
static void postpone(struct exceptions *x, void *uc, u32 at, int thread, int user)
{
    struct masks m = masks_of(x, uc);
    int level = running(x, &m);
    u32 enabled = x->words[SHCSR], flags = LSPACT | (user ? FP_USER : 0) | (thread ? FP_THREAD : 0);
    flags |= level > -1 ? HFRDY : 0;
    flags |= enabled & BUSFAULTENA && level > group(x, BUS_FAULT) ? BFRDY : 0;
    flags |= enabled & MEMFAULTENA && level > group(x, MEM_MANAGE) ? MMRDY : 0;
    x->words[FPCCR] = (x->words[FPCCR] & (ASPEN | LSPEN)) | flags;
    x->words[FPCAR] = at;
}

/* Whether the FP registers of other code still wait to be saved. */
int postponed(struct counters *c)
{
    return c->exceptions && c->exceptions->words[FPCCR] & LSPACT;
}

/* Saves them, before the first floating-point instruction of a handler; 0: Python is to do it. */
int preserve(struct counters *c, void *uc)
{
    struct exceptions *x = c->exceptions;
    u32 *at = plain(x, x->words[FPCAR], FP_WORDS, 1);
    if (x->slow || !at) {
        x->unsaved = 1;
        return 0;
    }
    move_fp(x, uc, at, 1);
    x->words[FPCCR] &= ~(u32)LSPACT;
    c->cycles += x->extended_save;
    c->attention = 1;
    return 1;
}

/* Stacking of `cycles` begins: what runs at its end, and from when on. A timer that is more urgent
 * and ends meanwhile takes the place of `number` (late arrival).
 */
static u32 arrives(struct exceptions *x, u32 number, u32 cycles, u64 *from)
{
    u64 begun = x->counters->cycles, due = next_tick(x);
    *from = begun + cycles;
    if (!x->late_arrival || due <= begun || due > *from || group(x, SYSTICK) >= group(x, number))
        return number;
    *from = due + x->late_arrival > *from ? due + x->late_arrival : *from;
    return SYSTICK;
}

static int enter(struct exceptions *x, void *uc, u32 number, u32 return_to)
{
    u32 xpsr = get(x, uc, ID_XPSR), control = get(x, uc, ID_CONTROL), thread = !(xpsr & MODE);
    int extended = control & FPCA && x->words[FPCCR] & ASPEN && fpu_on(x);
    int lazy = extended && x->words[FPCCR] & LSPEN, process = thread && control & SPSEL;
    u32 words = extended ? EXTENDED_WORDS : BASIC_WORDS, sp = get(x, uc, ID_SP) - 4 * words;
    u32 *frame = plain(x, sp & ~7u, words, 1);
    u64 from;
    u32 taken = arrives(x, number, x->entry + (extended && !lazy ? x->extended_save : 0), &from);
    u32 target = handler(x, taken);
    if (!target || !frame)
        return 0;
    for (int i = 0; i < 6; i++)
        frame[i] = get(x, uc, STACKED[i]);
    frame[6] = return_to & ~1u;
    frame[7] = xpsr | (sp & 4) << 7;
    if (lazy)
        postpone(x, uc, (sp & ~7u) + 4 * BASIC_WORDS, (int)thread, thread && control & NPRIV);
    else if (extended)
        move_fp(x, uc, frame + BASIC_WORDS, 1);
    x->counters->cycles = from;
    if (taken != number) {
        pend(x, number);
        tick(x, next_tick(x));
        number = taken;
    }
    u32 link = xpsr & MODE ? 0xFFFFFFF1 : process ? 0xFFFFFFFD : 0xFFFFFFF9;
    set(x, uc, ID_XPSR, (xpsr & KEPT) | THUMB | number); /* privileged from here on */
    set(x, uc, process ? ID_PSP : ID_MSP, sp & ~7u);
    set(x, uc, ID_CONTROL, control & ~(u32)(SPSEL | FPCA));
    set(x, uc, ID_SP, get(x, uc, ID_MSP));
    set(x, uc, ID_LR, extended ? link & ~0x10u : link);
    start(x, uc, number, target);
    return 1;
}

static int nested(const struct exceptions *x)
{
    int count = 0;
    for (u32 w = 0; w < SET_WORDS; w++)
        count += __builtin_popcount(x->active[w]);
    return count > 1;
}

/* Whether an exception return may use `link` (DDI 0403E, ExceptionReturn). */
static int usual(const struct exceptions *x, u32 number, u32 link)
{
    u32 kind = link & 0xF, thread = link & 8;
    if (!has(x->active, number) || (link | 1) < 0xFFFFFFE1)
        return 0;
    if (kind != 1 && kind != 9 && kind != 0xD)
        return 0;
    return nested(x) != !!thread || (thread && x->words[CCR] & NONBASETHRDENA);
}

static void unstack(struct exceptions *x, void *uc, u32 link, u32 *frame, u32 sp)
{
    int process = (link & 0xF) == 0xD, extended = !(link & 0x10);
    u32 control = get(x, uc, ID_CONTROL) & ~(u32)(SPSEL | FPCA), xpsr = frame[7];
    u32 after = (sp + 4 * (extended ? EXTENDED_WORDS : BASIC_WORDS)) | (xpsr & ALIGNED ? 4 : 0);
    set(x, uc, ID_CONTROL, control & ~(u32)NPRIV); /* without privilege nothing is written */
    set(x, uc, ID_XPSR, (xpsr & ~(u32)ALIGNED) | THUMB);
    control |= (process ? SPSEL : 0) | (extended ? FPCA : 0);
    set(x, uc, ID_CONTROL, control & ~(u32)NPRIV);
    set(x, uc, process ? ID_PSP : ID_MSP, after);
    set(x, uc, ID_SP, after);
    int saved = extended && !(x->words[FPCCR] & LSPACT);
    for (int i = 0; i < 6; i++)
        set(x, uc, STACKED[i], frame[i]);
    if (saved)
        move_fp(x, uc, frame + BASIC_WORDS, 0);
    if (extended)
        x->words[FPCCR] &= ~(u32)LSPACT;
    x->counters->cycles += x->exit + (saved ? x->extended_restore : 0);
    if (control & NPRIV)
        set(x, uc, ID_CONTROL, control);
}

/* The next handler without unstacking in between; 1 done, 0 none waits, -1 Python is needed. */
static int chain(struct exceptions *x, void *uc, u32 link)
{
    if (!x->tail_chain)
        return 0;
    tick(x, x->counters->cycles);
    struct masks m = {get(x, uc, ID_PRIMASK), get(x, uc, ID_BASEPRI), 0};
    u32 number = next(x, &m), target = number >= SVC ? handler(x, number) : 0;
    if (!number || !target)
        return number ? -1 : 0;
    set(x, uc, ID_XPSR, (get(x, uc, ID_XPSR) & KEPT) | THUMB | number);
    set(x, uc, ID_CONTROL, get(x, uc, ID_CONTROL) & ~(u32)FPCA);
    set(x, uc, ID_LR, link);
    x->counters->cycles += x->tail_chain;
    start(x, uc, number, target);
    return 1;
}

static int go_back(struct exceptions *x, void *uc, u32 link)
{
    struct counters *c = x->counters;
    int in_frame = !(link & 0x10) && !(x->words[FPCCR] & LSPACT);
    u32 sp = get(x, uc, (link & 0xF) == 0xD ? ID_PSP : ID_MSP);
    u32 *frame = plain(x, sp, in_frame ? EXTENDED_WORDS : BASIC_WORDS, 0);
    if (!frame || !(link & 8) == !(frame[7] & MODE) || (link & 8 && x->words[SCR] & SLEEPONEXIT))
        return 0;
    u32 go_on = frame[6];
    set(x, uc, ID_FAULTMASK, 0);
    unstack(x, uc, link, frame, sp);
    c->prev = c->before = 0;
    c->attention = 1;
    x->event = 1;
    set(x, uc, ID_PC, go_on | 1);
    return 1;
}

static int leave(struct exceptions *x, void *uc, u32 link)
{
    u32 number = get(x, uc, ID_XPSR) & MODE;
    if (number <= HARD_FAULT || !usual(x, number, link))
        return 0;
    u32 again = has(x->lines, number) && !has(x->pending, number);
    discard(x->active, number);
    if (again)
        add(x->pending, number);
    int chained = chain(x, uc, link);
    if (chained > 0) {
        set(x, uc, ID_FAULTMASK, 0);
        return 1;
    }
    if (chained == 0 && go_back(x, uc, link))
        return 1;
    add(x->active, number); /* as if nothing had happened */
    if (again)
        discard(x->pending, number);
    return 0;
}

/* Before a block, when something may have changed: -1 Python is needed, 1 the core goes elsewhere,
 * 0 the block runs.
 *
 * Behind a PC that was written in an interrupt hook, Unicorn 2.1.4 reports later faults at the start
 * of their block; one that is written in a block hook has it look again. */
int attend(struct counters *c, void *uc, u32 pc)
{
    struct exceptions *x = c->exceptions;
    if (c->stop || c->fuel <= 0 || !x || x->slow || c->cycles >= x->alarm)
        return -1;
    if (x->adrift) {
        x->adrift = 0;
        set(x, uc, ID_PC, pc | 1);
        return 1;
    }
    tick(x, x->counters->cycles);
    struct masks none = {0, 0, 0}, m = masks_of(x, uc);
    u32 number = next(x, &m);
    if (number)
        return number >= SVC && enter(x, uc, number, pc) ? 1 : -1;
    c->attention = 0;
    c->event = next_tick(x) < x->alarm ? next_tick(x) : x->alarm;
    c->watch = (m.primask || m.basepri || m.faultmask) && next(x, &none);
    c->masks[0] = m.primask, c->masks[1] = m.basepri, c->masks[2] = m.faultmask;
    return 0;
}

static int serve(struct exceptions *x, void *uc, u32 number)
{
    u32 pc = get(x, uc, ID_PC);
    if (x->slow || x->counters->stop || x->counters->off)
        return 0;
    if (number == INTR_SVC) {
        struct masks m = masks_of(x, uc);
        return group(x, SVC) < running(x, &m) && enter(x, uc, SVC, pc);
    }
    if (number != INTR_FETCH && number != INTR_RETURN)
        return 0;
    return pc >= 0xFFFFFFE0u && leave(x, uc, pc | 1);
}

/* Unicorn's own exceptions: supervisor calls and returns are served, the others end the run. */
void interrupt(void *uc, u32 number, void *user)
{
    struct exceptions *x = user;
    if (serve(x, uc, number)) {
        x->adrift = 1;
        return;
    }
    x->intr = number;
    x->counters->emu_stop(uc);
}
