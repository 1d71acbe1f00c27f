/* memory_stall(): how long a block waits for its instructions and its data. */
#include "memory.h"

static u32 slot_of(struct cache *c, u32 line)
{
    if (c->where)
        return c->where[line] - 1u;
    u32 slot = (line & c->set_mask) * c->ways;
    for (u32 end = slot + c->ways; slot < end; slot++)
        if (c->tags[slot] == line + 1)
            return slot;
    return ~0u;
}

/* Write the stamps of lines that were found without looking: before anything depends on them. */
void settle(struct cache *c)
{
    for (struct plan *p = c->late; p; p = p->next) {
        p->late = 0;
        for (u32 i = 0; i < p->lines; i++) {
            u32 slot = slot_of(c, (p->start >> c->line_shift) + i);
            u64 stamp = p->touched + i + 1;
            if (slot != ~0u && c->stamps[slot] < stamp)
                c->stamps[slot] = stamp;
        }
    }
    c->late = 0;
}

/* Give a line the slot that is unused for longest; an empty one has the stamp 0. */
static u32 replace(struct cache *c, u32 line)
{
    settle(c);
    u32 first = (line & c->set_mask) * c->ways, slot = first;
    u64 oldest = c->stamps[first];
    for (u32 way = first + 1; way < first + c->ways; way++) { /* without a branch to mispredict */
        u64 stamp = c->stamps[way];
        slot = stamp < oldest ? way : slot;
        oldest = stamp < oldest ? stamp : oldest;
    }
    c->losses += c->tags[slot] != 0;
    if (c->where) {
        if (c->tags[slot])
            c->where[c->tags[slot] - 1] = 0;
        c->where[line] = (u8)(slot + 1);
    }
    c->tags[slot] = line + 1;
    c->filled[slot] = 0;
    return slot;
}

/* Look up the bytes from `start` to `last` in one line: a bit for each row that was missing. */
static u32 look_up(struct cache *c, u32 start, u32 last)
{
    u32 line = start >> c->line_shift, inside = (1u << c->line_shift) - 1;
    u32 low = (start & inside) >> c->row_shift, high = (last & inside) >> c->row_shift;
    u32 slot = slot_of(c, line), rows = (2u << high) - (1u << low);
    if (slot == ~0u)
        slot = replace(c, line);
    u32 missing = rows & ~c->filled[slot];
    c->filled[slot] |= rows;
    c->stamps[slot] = ++c->clock;
    if (!missing)
        c->hits++;
    else
        c->misses += (u32)__builtin_popcount(missing);
    return missing;
}

/* All lines from `start` to `last`: rows that were missing. `first`: a bit for each of line one. */
u32 look_up_all(struct cache *c, u32 start, u32 last, u32 *first)
{
    u32 inside = (1u << c->line_shift) - 1, end = start | inside;
    *first = look_up(c, start, end < last ? end : last);
    u32 missing = *first ? (u32)__builtin_popcount(*first) : 0;
    while (end < last) {
        start = end + 1;
        end = start | inside;
        u32 rows = look_up(c, start, end < last ? end : last);
        missing += rows ? (u32)__builtin_popcount(rows) : 0;
    }
    return missing;
}

/* Where the next rows are prefetched, only that at which a jump arrives is waited for in full. */
static u32 fetch(struct plan *p, const struct edge *e)
{
    struct region *r = p->code;
    struct cache *c = r->cache;
    if (!c)
        return 0;
    if (p->seen == c && p->losses == c->losses) {
        p->touched = c->clock;
        c->clock += p->lines;
        c->hits += p->lines;
        if (!p->late)
            p->late = 1, p->next = c->late, c->late = p;
        return 0;
    }
    u64 before = c->clock;
    u32 first, missing = look_up_all(c, p->start, p->last, &first), stall = 0;
    p->lines = (u32)(c->clock - before);
    p->seen = missing ? 0 : c;
    p->losses = c->losses;
    if (!missing || !r->row_cycles)
        return missing * r->stall;
    u32 row = (p->start & ((1u << c->line_shift) - 1)) >> c->row_shift;
    int follows = (u32)e->prev + (u32)(e->prev >> 32) == (u32)e->cur;
    if (first >> row & 1 && !follows) {
        stall = r->stall;
        missing--;
    }
    u32 runs = (u32)(((u64)e->cost << c->row_shift) / (e->cur >> 32)); /* cycles a row takes */
    return stall + (r->row_cycles > runs ? missing * (r->row_cycles - runs) : 0);
}

static u32 transfer(struct memory *m, const struct region *r, struct group *g, u32 at)
{
    struct cache *c = r->cache;
    if (!c) {
        m->uncached += g->beats;
        return g->store ? 0 : g->beats * r->stall;
    }
    if (g->store && !r->allocates)
        return 0;
    at = at - r->base + r->origin;
    u32 first, line = at >> c->line_shift;
    int known = g->slot < (c->set_mask + 1) * c->ways && c->tags[g->slot] == line + 1;
    if (known && (at + g->last) >> c->line_shift == line && c->row_shift == c->line_shift) {
        c->hits++;
        c->stamps[g->slot] = ++c->clock;
        return 0;
    }
    u32 missing = look_up_all(c, at, at + g->last, &first);
    u32 slot = slot_of(c, line);
    g->slot = slot == ~0u ? 0 : slot;
    return g->store ? 0 : missing * r->stall;
}

static u32 load_all(struct memory *m, struct plan *p, const u32 *values)
{
    u32 stall = 0;
    for (struct group *g = p->groups, *end = g + p->group_count; g < end; g++) {
        u32 at = g->offset + (values[g->registers[0]] << g->shifts[0]);
        at += values[g->registers[1]] << g->shifts[1];
        for (struct region *r = m->regions, *last = r + m->region_count; r < last; r++)
            if (at - r->base < r->size) {
                if (r->stall && r->size - (at - r->base) > g->last)
                    stall += transfer(m, r, g, at);
                break;
            }
    }
    return stall;
}

u32 memory_stall(const struct counters *c, void *uc, const struct edge *e)
{
    struct plan *p = e->plan;
    struct memory *m = p->memory;
    u32 values[16], code = p->code ? fetch(p, e) : 0, data = 0;
    m->known += p->known;
    m->unknown += p->unknown;
    if (p->group_count) {
        values[NO_REGISTER] = 0;
        for (u32 i = 0; i < p->register_count; i++)
            c->reg_read(uc, m->register_ids[p->registers[i]], &values[p->registers[i]]);
        data = load_all(m, p, values);
    }
    m->code_stalls += code;
    m->data_stalls += data;
    return code + data;
}
