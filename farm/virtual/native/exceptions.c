/* Exception entry and return in the common case: what enter() and leave() of exceptions.py and
 * core.py do, without leaving Unicorn. Whatever is unusual changes nothing here and is left to
 * Python: frames and vectors outside plain memory, invalid returns, faults and their escalation,
 * an active memory protection unit, single steps.
 *
 * Unicorn goes on at a PC that is written inside a block hook or an interrupt hook.
 */
#include "exceptions.h"

enum { NPRIV = 1, SPSEL = 2, FPCA = 4, THUMB = 1 << 24, ALIGNED = 1 << 9, MODE = 0x1FF };
enum { BASIC_WORDS = 8, EXTENDED_WORDS = 26, KEPT = 0xF80F0000 };
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

/* The handler starts: cycles, mode and flags. */
static void start(struct exceptions *x, void *uc, u32 number, u32 target, u32 cycles)
{
    struct counters *c = x->counters;
    discard(x->pending, number);
    add(x->active, number);
    c->prev = c->before = 0;
    c->cycles += cycles;
    c->attention = 1;
    x->event = 1;
    set(x, uc, ID_PC, target);
}

static int enter(struct exceptions *x, void *uc, u32 number, u32 return_to)
{
    u32 xpsr = get(x, uc, ID_XPSR), control = get(x, uc, ID_CONTROL), target = handler(x, number);
    int extended = control & FPCA && fpu_on(x), process = !(xpsr & MODE) && control & SPSEL;
    u32 words = extended ? EXTENDED_WORDS : BASIC_WORDS, sp = get(x, uc, ID_SP) - 4 * words;
    u32 *frame = plain(x, sp & ~7u, words, 1);
    if (!target || !frame)
        return 0;
    for (int i = 0; i < 6; i++)
        frame[i] = get(x, uc, STACKED[i]);
    frame[6] = return_to & ~1u;
    frame[7] = xpsr | (sp & 4) << 7;
    if (extended) {
        move_fp(x, uc, frame + BASIC_WORDS, 1);
        frame[EXTENDED_WORDS - 1] = 0;
    }
    u32 link = xpsr & MODE ? 0xFFFFFFF1 : process ? 0xFFFFFFFD : 0xFFFFFFF9;
    set(x, uc, ID_XPSR, (xpsr & KEPT) | THUMB | number); /* privileged from here on */
    set(x, uc, process ? ID_PSP : ID_MSP, sp & ~7u);
    set(x, uc, ID_CONTROL, control & ~(u32)(SPSEL | FPCA));
    set(x, uc, ID_SP, get(x, uc, ID_MSP));
    set(x, uc, ID_LR, extended ? link & ~0x10u : link);
    start(x, uc, number, target, x->entry);
    return 1;
}

static int nested(const struct exceptions *x)
{
    int count = 0;
    for (u32 w = 0; w < SET_WORDS; w++)
        count += __builtin_popcount(x->active[w]);
    return count > 1;
}

/* Whether an exception return may use `link` (DDI 0403E, ExceptionReturn), and nothing sleeps. */
static int usual(const struct exceptions *x, u32 number, u32 link)
{
    u32 kind = link & 0xF, thread = link & 8;
    if (!has(x->active, number) || (link | 1) < 0xFFFFFFE1)
        return 0;
    if (kind != 1 && kind != 9 && kind != 0xD)
        return 0;
    if (thread && x->words[SCR] & SLEEPONEXIT)
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
    for (int i = 0; i < 6; i++)
        set(x, uc, STACKED[i], frame[i]);
    if (extended)
        move_fp(x, uc, frame + BASIC_WORDS, 0);
    if (control & NPRIV)
        set(x, uc, ID_CONTROL, control);
}

static int leave(struct exceptions *x, void *uc, u32 link)
{
    struct counters *c = x->counters;
    u32 number = get(x, uc, ID_XPSR) & MODE;
    u32 sp = get(x, uc, (link & 0xF) == 0xD ? ID_PSP : ID_MSP);
    u32 *frame = plain(x, sp, link & 0x10 ? BASIC_WORDS : EXTENDED_WORDS, 0);
    if (!usual(x, number, link) || !frame || !(link & 8) == !(frame[7] & MODE))
        return 0;
    discard(x->active, number);
    if (has(x->lines, number))
        add(x->pending, number);
    if (number != NMI)
        set(x, uc, ID_FAULTMASK, 0);
    u32 go_on = frame[6];
    unstack(x, uc, link, frame, sp);
    c->prev = c->before = 0;
    c->cycles += x->exit;
    c->attention = 1;
    x->event = 1;
    set(x, uc, ID_PC, go_on | 1);
    return 1;
}

/* Before a block, when something may have changed: -1 Python is needed, 1 the core goes elsewhere,
 * 0 the block runs. */
int attend(struct counters *c, void *uc, u32 pc)
{
    struct exceptions *x = c->exceptions;
    if (c->stop || c->fuel <= 0 || !x || x->slow || c->cycles >= x->alarm)
        return -1;
    tick(x);
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
    if (serve(x, uc, number))
        return;
    x->intr = number;
    x->counters->emu_stop(uc);
}
