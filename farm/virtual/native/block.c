/* block(): called at the start of every translated block. Adds the cost of the edge
 * (previous block, this block) to the cycle count; asks Python once for an unknown edge.
 */
#include "memory.h"

static void end_slice(struct counters *c, void *uc)
{
    c->stopped = 1;
    c->emu_stop(uc);
}

static int masks_changed(struct counters *c, void *uc)
{
    for (int i = 0; i < 3; i++) {
        u32 value = 0;
        c->reg_read(uc, c->mask_ids[i], &value);
        if (value != c->masks[i])
            return 1;
    }
    return 0;
}

static int due(struct counters *c, void *uc)
{
    return c->stop || c->attention || c->fuel <= 0 || c->cycles >= c->event ||
           (c->watch && masks_changed(c, uc));
}

static struct edge *find(struct counters *c, u64 prev, u64 cur)
{
    u64 h = cur * 0x9E3779B97F4A7C15ull ^ prev * 0xC2B2AE3D27D4EB4Full;
    u32 slot = (u32)(h >> 40);
    for (;; slot++) {
        struct edge *e = &c->table[slot & c->slot_mask];
        if (e->cur == 0 || (e->cur == cur && e->prev == prev))
            return e;
    }
}

/* The edge with its cost; 0: Python wants the core to stop. */
static struct edge *priced(struct counters *c, u64 prev, u64 cur)
{
    struct edge *known = find(c, prev, cur);
    if (known->cur)
        return known;
    struct edge new = {prev, cur, 0, 0, 0, 0};
    if (!c->price(&new))
        return 0;
    if (c->used * 4 > c->slot_mask * 3) { /* full: forget all, Python remembers the prices */
        for (u32 i = 0; i <= c->slot_mask; i++)
            c->table[i].cur = 0;
        c->used = 0;
    }
    known = find(c, prev, cur); /* price() may have cleared the table */
    *known = new;
    c->used++;
    return known;
}

void block(void *uc, u64 address, u32 size, void *user)
{
    struct counters *c = user;
    if (c->off)
        return;
    if (due(c, uc)) {
        int elsewhere = attend(c, uc, (u32)address);
        if (elsewhere < 0)
            end_slice(c, uc); /* before counting: the block starts again at the next slice */
        if (elsewhere)
            return;
    }
    u64 cur = (address & 0xFFFFFFFFu) | (u64)size << 32;
    struct edge *edge = priced(c, c->prev, cur);
    if (edge && edge->strict && misaligned(c, uc, edge->strict))
        edge = c->price(edge) ? edge : 0; /* known and priced again: Python looks closer */
    if (!edge) {
        end_slice(c, uc);
        return;
    }
    if (edge->floating && postponed(c)) {
        if (preserve(c, uc))
            block(uc, address, size, user); /* afresh: time has passed */
        else
            end_slice(c, uc);
        return;
    }
    c->before = c->prev;
    c->prev = cur;
    c->cost = edge->cost;
    c->cycles += edge->cost + (edge->plan ? memory_stall(c, uc, edge) : 0);
    c->instructions += edge->instructions;
    c->blocks++;
    c->fuel -= size >> 1;
}
