/* divide(): called before each SDIV and UDIV; adds what its operands make it take. */
#include "board.h"

/* Mirrored by farm/virtual/divisions.py. */
struct divider {
    struct counters *counters;
    u64 block;            /* the block entry of the last division, */
    u32 at, spent;        /* its address, and the cycles that it added */
    u32 zero, smaller;    /* an operand is 0; the dividend has fewer bits than the divisor */
    u32 base, bits_per_cycle;
    u32 issue;            /* what the price of the block holds for any division */
};

struct division {
    struct divider *divider;
    int dividend_id, divisor_id, flags_id;
    u32 is_signed;
    u32 condition; /* in an IT block; 14: always */
};

static u32 bits(u32 value)
{
    u32 count = 0;
    for (; value; value >>= 1)
        count++;
    return count;
}

static u32 magnitude(u32 value, u32 is_signed)
{
    return is_signed && value >> 31 ? 0u - value : value;
}

/* DDI 0403E, table A7-1. */
static int holds(u32 condition, u32 flags)
{
    u32 n = flags >> 31, z = flags >> 30 & 1, c = flags >> 29 & 1, v = flags >> 28 & 1;
    u32 truth[] = {z, c, n, v, c & !z, n == v, n == v && !z, 1};
    return condition >= 14 || truth[condition >> 1] != (condition & 1);
}

static u32 cycles(const struct divider *d, u32 dividend, u32 divisor)
{
    u32 from = bits(dividend), by = bits(divisor);
    if (!from || !by)
        return d->zero;
    return from < by ? d->smaller : d->base + (from - by) / d->bits_per_cycle;
}

void divide(void *uc, u64 address, u32 size, void *user)
{
    const struct division *site = user;
    struct divider *d = site->divider;
    struct counters *c = d->counters;
    u32 dividend = 0, divisor = 0, flags = 0;
    (void)size;
    if (site->condition < 14)
        c->reg_read(uc, site->flags_id, &flags);
    if (!holds(site->condition, flags))
        return;
    c->reg_read(uc, site->dividend_id, &dividend);
    c->reg_read(uc, site->divisor_id, &divisor);
    dividend = magnitude(dividend, site->is_signed);
    divisor = magnitude(divisor, site->is_signed);
    d->at = (u32)address;
    d->block = c->blocks;
    d->spent = cycles(d, dividend, divisor) - d->issue;
    c->cycles += d->spent;
}
