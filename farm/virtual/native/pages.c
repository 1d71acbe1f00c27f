/* load() / store(): register pages; a register is plain memory unless its mode says otherwise. */
#include "board.h"

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
