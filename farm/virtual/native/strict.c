/* misaligned(): whether an address that must be aligned in a block is not; see alignment.py.
 * look(): the same of one load or store, just before it; only then Python is asked.
 */
#include "board.h"

enum { SP = 13, REGISTERS = 15 };

/* 1: the value of a form is not 0 modulo 4, or cannot be told. Moves on behind the form and the
 * offsets from SP of the words that it is made of. */
static int is_odd(struct counters *c, void *uc, const u64 **list)
{
    u64 form = *(*list)++;
    u32 total = (u32)form >> 30, value = 0;
    for (u32 i = 0; i < REGISTERS; i++) {
        if (form >> 2 * i & 3) {
            c->reg_read(uc, c->general_ids[i], &value);
            total += (u32)(form >> 2 * i & 3) * value;
        }
    }
    for (u64 words = form >> 32; words; words >>= 2) {
        if (words & 3) {
            u32 sp = 0;
            c->reg_read(uc, c->general_ids[SP], &sp);
            if (c->mem_read(uc, sp + (u32)*(*list)++, &value, 4))
                return 1;
            total += (u32)(words & 3) * value;
        }
    }
    return (total & 3) != 0;
}

int misaligned(struct counters *c, void *uc, u32 first)
{
    for (const u64 *list = c->forms + first; *list;)
        if (is_odd(c, uc, &list))
            return 1;
    return 0;
}

struct access { /* mirrored by farm/virtual/strict.py */
    struct counters *counters;
    u64 now[2]; /* a form, and 0 */
    void (*odd)(void);
};

void look(void *uc, u64 address, u32 size, void *user)
{
    struct access *access = user;
    const u64 *list = access->now;
    (void)address, (void)size;
    if (*list && is_odd(access->counters, uc, &list))
        access->odd();
}
