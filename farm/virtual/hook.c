/* Native half of the emulated core: what runs too often for Python.
 *
 * block(): called at the start of every translated block. Adds the cost of the edge
 * (previous block, this block) to the cycle count; asks Python once for an unknown edge.
 * load() / store(): register pages; a register is plain memory unless its mode says otherwise.
 *
 * Layouts are mirrored by farm/virtual/hook.py (Counters, Edge) and farm/virtual/pages.py (PageState).
 * No header is included: the file is built without a C library.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define UNKNOWN (~0ull)
enum { READ_PLAIN = 0, READ_CALL = 1, READ_STATUS = 2 };
enum { WRITE_PLAIN = 0, WRITE_CALL = 1, WRITE_CALL_ON_MASK = 2, WRITE_TRANSMIT = 3 };

struct edge {
    u64 prev, cur; /* block = address | size << 32; cur 0: free */
    u64 cost;
};

struct counters {
    u64 cycles;  /* cost of all edges so far */
    u64 blocks;  /* blocks entered */
    u64 prev;    /* the block that runs now; 0: none, the pipeline is empty */
    u64 before;  /* the block before it */
    u64 cost;    /* what the last edge cost */
    u64 event;   /* stop when cycles reaches this */
    i64 fuel;    /* stop when the halfwords of a slice are used up */
    u32 stop;    /* stop at the next block */
    u32 stopped; /* the last run ended by this hook, not by the core */
    u32 off;     /* do not count (single step) */
    u32 watch;   /* stop when a mask register changes from masks[] */
    u32 masks[3];
    u32 idle_reads; /* reads of an empty receiver's status since the last byte moved */
    u32 idle_limit;
    u32 status_bit; /* "a byte has arrived" in the status register */
    u32 used, slot_mask;
    struct edge *table;
    u64 (*price)(u64 prev, u64 cur);
    int (*emu_stop)(void *uc);
    int (*reg_read)(void *uc, int id, void *value);
    int mask_ids[3];
    u32 sent; /* bytes waiting in sent_bytes */
    u32 sent_size;
    u8 *sent_bytes;
};

struct page {
    u32 regs[256];
    u32 write_mask[256];
    u8 read_mode[256];
    u8 write_mode[256];
    u32 clocked; /* 0: reads 0, ignores writes */
    struct counters *counters;
    u32 (*read)(u32 offset);
    void (*write)(u32 offset, u32 value);
};

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

static u64 cost_of(struct counters *c, u64 prev, u64 cur)
{
    struct edge *e = find(c, prev, cur);
    if (e->cur)
        return e->cost;
    u64 cost = c->price(prev, cur);
    if (cost == UNKNOWN)
        return cost;
    if (c->used * 4 > c->slot_mask * 3) { /* full: forget all, Python remembers the prices */
        for (u32 i = 0; i <= c->slot_mask; i++)
            c->table[i].cur = 0;
        c->used = 0;
    }
    e = find(c, prev, cur); /* price() may have cleared the table */
    e->prev = prev;
    e->cur = cur;
    e->cost = cost;
    c->used++;
    return cost;
}

void block(void *uc, u64 address, u32 size, void *user)
{
    struct counters *c = user;
    if (c->off)
        return;
    if (c->stop || c->fuel <= 0 || c->cycles >= c->event || (c->watch && masks_changed(c, uc))) {
        end_slice(c, uc); /* before counting: the block starts again at the next slice */
        return;
    }
    u64 cur = (address & 0xFFFFFFFFu) | (u64)size << 32;
    u64 cost = cost_of(c, c->prev, cur);
    if (cost == UNKNOWN) {
        end_slice(c, uc);
        return;
    }
    c->before = c->prev;
    c->prev = cur;
    c->cost = cost;
    c->cycles += cost;
    c->blocks++;
    c->fuel -= size >> 1;
}

static u32 lane_mask(u32 size)
{
    return size >= 4 ? 0xFFFFFFFFu : (1u << 8 * size) - 1;
}

u64 load(void *uc, u64 offset, u32 size, void *user)
{
    struct page *p = user;
    u32 i = (u32)offset >> 2 & 255, shift = 8 * ((u32)offset & 3), value = p->regs[i];
    (void)uc;
    if (!p->clocked)
        return 0;
    if (p->read_mode[i] == READ_CALL) {
        p->counters->fuel -= 64; /* a call into Python is worth that many instructions */
        value = p->read(i << 2);
    } else if (p->read_mode[i] == READ_STATUS && !(value & p->counters->status_bit)) {
        if (++p->counters->idle_reads >= p->counters->idle_limit)
            p->counters->stop = 1;
    }
    return value >> shift & lane_mask(size);
}

static int transmit(struct counters *c, u32 value)
{
    if (c->sent >= c->sent_size)
        return 0;
    c->sent_bytes[c->sent++] = (u8)value;
    c->idle_reads = 0;
    return 1;
}

void store(void *uc, u64 offset, u32 size, u64 data, void *user)
{
    struct page *p = user;
    u32 i = (u32)offset >> 2 & 255, shift = 8 * ((u32)offset & 3), lanes = lane_mask(size) << shift;
    u32 value = (p->regs[i] & ~lanes) | ((u32)data << shift & lanes);
    u8 mode = p->write_mode[i];
    (void)uc;
    if (!p->clocked)
        return;
    if (mode == WRITE_PLAIN || (mode == WRITE_CALL_ON_MASK && !(value & p->write_mask[i]))) {
        p->regs[i] = value;
    } else if (mode != WRITE_TRANSMIT || !transmit(p->counters, value)) {
        p->counters->fuel -= 64;
        p->write(i << 2, value);
    }
}

struct flash {
    u8 *bytes;
    u32 size, base_count;
    u32 bases[4]; /* where the core sees it */
    struct page *controller;
    u32 (*program)(u32 offset, u32 size, u32 value); /* the Python model: checks, errors */
};

enum { CR = 0x10 / 4, SR = 0x0C / 4, CR_PG = 1, CR_LOCK = 1u << 31, SR_ERRORS = 0xF0 };

/* A store of the core into flash. The common case is done here; the rest asks Python. */
int flash_store(void *uc, int type, u64 address, int size, i64 data, void *user)
{
    struct flash *f = user;
    u32 cr = f->controller->regs[CR], value = (u32)data & lane_mask((u32)size);
    (void)uc, (void)type;
    for (u32 b = 0; b < f->base_count; b++) {
        u32 offset = (u32)address - f->bases[b];
        if (offset >= f->size || offset % (u32)size)
            continue;
        u8 *cell = f->bytes + offset;
        int fits = (cr & (CR_PG | CR_LOCK)) == CR_PG && 1u << (cr >> 8 & 3) == (u32)size;
        if (!fits || f->controller->regs[SR] & SR_ERRORS) {
            f->program(offset, (u32)size, value);
            return 1;
        }
        for (int i = 0; i < size; i++)
            cell[i] &= (u8)(value >> 8 * i);
        return 1;
    }
    return 1; /* read-only memory that is no flash: the store is lost */
}
