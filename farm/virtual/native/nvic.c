/* Which exception runs next, and the SysTick timer: what Nvic and SysTick of nvic.py do. */
#include "exceptions.h"

enum { LOWEST = 256, CSR_ENABLE = 1, CSR_TICKINT = 2, CSR_CLKSOURCE = 4 };
static const u64 NEVER = 0xFFFFFFFFFFFFFFFEull;

static int grouped(const struct exceptions *x, u32 priority)
{
    return (int)(priority >> (x->group_shift + 1) << (x->group_shift + 1));
}

static int fixed(u32 number)
{
    return number <= HARD_FAULT ? (int)number - 4 : 0; /* reset -3, NMI -2, hard fault -1 */
}

int group(const struct exceptions *x, u32 number)
{
    return number <= HARD_FAULT ? fixed(number) : grouped(x, x->priorities[number]);
}

int running(const struct exceptions *x, const struct masks *m)
{
    int level = LOWEST;
    for (u32 w = 0; w < SET_WORDS; w++)
        for (u32 bits = x->active[w]; bits; bits &= bits - 1) {
            int one = group(x, 32 * w + (u32)__builtin_ctz(bits));
            level = one < level ? one : level;
        }
    if (m->basepri && grouped(x, m->basepri) < level)
        level = grouped(x, m->basepri);
    if (m->primask && level > 0)
        level = 0;
    return m->faultmask && level > -1 ? -1 : level;
}

/* The pending and enabled exception that comes first. */
static u32 most_urgent(const struct exceptions *x)
{
    u32 best = NONE;
    int best_level = LOWEST;
    for (u32 w = 0; w < SET_WORDS; w++)
        for (u32 bits = x->pending[w]; bits; bits &= bits - 1) {
            u32 n = 32 * w + (u32)__builtin_ctz(bits);
            int level = n <= HARD_FAULT ? fixed(n) : x->priorities[n];
            if ((n < FIRST_IRQ || has(x->enabled, n)) && level < best_level)
                best = n, best_level = level;
        }
    return best;
}

u32 next(const struct exceptions *x, const struct masks *m)
{
    u32 best = most_urgent(x);
    return best && group(x, best) < running(x, m) ? best : NONE;
}

void pend(struct exceptions *x, u32 number)
{
    if (number >= x->count)
        return;
    add(x->pending, number);
    x->counters->attention = 1;
}

static u64 period(const struct exceptions *x)
{
    return ((u64)x->reload + 1) * (x->control & CSR_CLKSOURCE ? 1 : 8);
}

u64 next_tick(const struct exceptions *x)
{
    int on = (x->control & CSR_TICKINT) && (x->control & CSR_ENABLE) && x->reload;
    return on ? x->start + period(x) : NEVER;
}

void tick(struct exceptions *x, u64 now)
{
    if (now < next_tick(x))
        return;
    x->start += (now - x->start) / period(x) * period(x);
    x->seen = -1;
    pend(x, SYSTICK);
}
