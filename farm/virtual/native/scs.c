/* scs_load() / scs_store(): the registers of the system control space that firmware uses often, as
 * scs.py and nvic.py serve them: SysTick, the interrupt controller, ICSR, STIR, priorities. All
 * others, and code without privilege, are Python's.
 */
#include "exceptions.h"

enum { NPRIV = 1, CSR_ENABLE = 1, CSR_CLKSOURCE = 4, COUNTFLAG = 1 << 16 };
enum { STK_CTRL = 0x010, STK_LOAD = 0x014, STK_VAL = 0x018, NVIC_SETS = 0x100, NVIC_ACTIVE = 0x300 };
enum { NVIC_IPR = 0x400, NVIC_END = 0x600, ICSR = 0xD04, SHPR1 = 0xD18, STIR = 0xF00 };
enum { SET_ENABLE = 2, CLEAR_ENABLE, SET_PENDING, CLEAR_PENDING }; /* by bits 9..7 of the offset */
enum { PRIORITY_BITS = 0xF0 };

static int counts(const struct exceptions *x)
{
    return x->control & CSR_ENABLE && x->reload;
}

static u32 flag(struct exceptions *x)
{
    if (!counts(x))
        return 0;
    u64 scale = x->control & CSR_CLKSOURCE ? 1 : 8, length = (x->reload + 1ull) * scale;
    i64 periods = (i64)((x->counters->cycles - x->start) / length);
    int passed = periods != x->seen;
    x->seen = periods;
    return passed ? COUNTFLAG : 0;
}

static u32 value(const struct exceptions *x)
{
    if (!counts(x))
        return 0;
    u64 scale = x->control & CSR_CLKSOURCE ? 1 : 8;
    u32 gone = (u32)((x->counters->cycles - x->start) / scale % (x->reload + 1ull));
    return gone ? x->reload - gone + 1 : 0;
}

static void restart(struct exceptions *x)
{
    x->start = x->counters->cycles;
    x->seen = 0;
}

static void store_tick(struct exceptions *x, u32 offset, u32 data)
{
    if (offset == STK_VAL || (offset == STK_CTRL && data & CSR_ENABLE & ~x->control))
        restart(x);
    if (offset == STK_CTRL)
        x->control = data & 7;
    if (offset == STK_LOAD)
        x->reload = data & 0xFFFFFF;
    x->counters->attention = 1; /* a new deadline */
}

/* The 32 exceptions of a word of the interrupt controller's sets: IRQ 0 is exception 16. */
static u32 window(const u32 *set, u32 offset)
{
    u32 first = FIRST_IRQ + (offset & 0x7C) * 8, low = first >> 5;
    u32 high = low + 1 < SET_WORDS ? set[low + 1] : 0; /* nothing behind the last set */
    return low < SET_WORDS ? set[low] >> 16 | high << 16 : 0;
}

static void change(struct exceptions *x, u32 kind, u32 number)
{
    if (number >= x->count)
        return;
    if (kind == SET_ENABLE)
        add(x->enabled, number), x->counters->attention = 1;
    else if (kind == CLEAR_ENABLE)
        discard(x->enabled, number);
    else if (kind == SET_PENDING)
        pend(x, number);
    else if (kind == CLEAR_PENDING && !has(x->lines, number))
        discard(x->pending, number);
}

static void store_icsr(struct exceptions *x, u32 data)
{
    if (data & 1u << 27)
        discard(x->pending, PEND_SV);
    if (data & 1u << 25)
        discard(x->pending, SYSTICK);
    if (data & 1u << 31)
        pend(x, NMI);
    if (data & 1u << 28)
        pend(x, PEND_SV);
    if (data & 1u << 26)
        pend(x, SYSTICK);
}

/* The first exception of a priority register; 0: not one. */
static u32 prioritised(u32 offset)
{
    if (offset >= NVIC_IPR && offset < NVIC_END)
        return FIRST_IRQ + offset - NVIC_IPR;
    return offset >= SHPR1 && offset < 4 * SHCSR ? 4 + offset - SHPR1 : 0;
}

static int unprivileged(struct exceptions *x, void *uc)
{
    u32 control = 0, xpsr = 0;
    x->counters->reg_read(uc, x->ids[ID_CONTROL], &control);
    if (control & NPRIV)
        x->counters->reg_read(uc, x->ids[ID_XPSR], &xpsr);
    return control & NPRIV && !(xpsr & 0x1FF);
}

static u32 priorities(const struct exceptions *x, u32 first, u32 size)
{
    u32 word = 0;
    for (u32 i = 0; i < size && first + i < EXCEPTIONS; i++)
        word |= (u32)x->priorities[first + i] << 8 * i;
    return word;
}

u64 scs_load(void *uc, u64 offset, u32 size, void *user)
{
    struct exceptions *x = user;
    u32 at = (u32)offset & 0xFFF, first = prioritised(at);
    if (size != 4 || unprivileged(x, uc))
        return x->load(at, size);
    if (first)
        return priorities(x, first, 4);
    switch (at) {
    case STK_CTRL: return x->control | flag(x);
    case STK_LOAD: return x->reload;
    case STK_VAL: return value(x);
    case 4 * VTOR: case 4 * SCR: case 4 * CCR: case 4 * CPACR: case 4 * FPCCR: case 4 * FPCAR:
        return x->words[at >> 2];
    }
    if (at >= NVIC_SETS && at < NVIC_ACTIVE)
        return window(at < 0x200 ? x->enabled : x->pending, at);
    return x->load(at, size);
}

static int store_word(struct exceptions *x, u32 at, u32 data)
{
    if (at == ICSR)
        store_icsr(x, data);
    else if (at == STIR)
        pend(x, FIRST_IRQ + (data & 0x1FF));
    else if (at >= STK_CTRL && at <= STK_VAL)
        store_tick(x, at, data);
    else if (at >= NVIC_SETS && at < NVIC_ACTIVE)
        for (; data; data &= data - 1)
            change(x, at >> 7, FIRST_IRQ + (at & 0x7C) * 8 + (u32)__builtin_ctz(data));
    else
        return 0;
    return 1;
}

void scs_store(void *uc, u64 offset, u32 size, u64 data, void *user)
{
    struct exceptions *x = user;
    u32 at = (u32)offset & 0xFFF, first = prioritised(at);
    if (unprivileged(x, uc) || (!first && (size != 4 || !store_word(x, at, (u32)data)))) {
        x->store(at, size, (u32)data);
        return;
    }
    for (u32 i = 0; first && i < size && first + i < x->count; i++) {
        x->priorities[first + i] = (u8)(data >> 8 * i) & PRIORITY_BITS;
        x->counters->attention = 1;
    }
}
