/* flash_store(): stores of the core into flash. */
#include "board.h"

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
