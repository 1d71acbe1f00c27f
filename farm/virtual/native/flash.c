/* flash_store(): stores of the core into flash, and what each family of controllers takes.
 *
 * A family's function does the good case and says 1. For everything else it changes nothing and
 * says 0: the Python model of the family then does what there is to do, errors included.
 */
#include "board.h"

#define FULL_WORD 0xFFFFFFFFu

static void clear_bits(u8 *cells, const u8 *value, u32 size)
{
    for (u32 i = 0; i < size; i++)
        cells[i] &= value[i];
}

static void fill(struct flash_word *word, u32 at, u32 size, u64 value)
{
    for (u32 i = 0; i < size; i++)
        word->value[at + i] = (u8)(value >> 8 * i);
    word->filled |= ((1u << size) - 1) << at;
}

static void drop(struct flash_word *word)
{
    for (int i = 0; i < 32; i++)
        word->value[i] = 0xFF;
    word->open = word->offset = word->filled = 0;
}

/* STM32F4 and F7: any store with PG and the width of PSIZE, unless an error is pending. */
int take_f4(struct flash *f, u32 offset, u32 size, u64 value)
{
    enum { SR = 0x0C / 4, CR = 0x10 / 4, PG = 1, ERRORS = 0xF0 };
    u32 cr = f->controller->regs[CR], sr = f->controller->regs[SR];
    u8 bytes[8];
    if (cr >> 31 || !(cr & PG) || sr & ERRORS || 1u << (cr >> 8 & 3) != size)
        return 0;
    for (u32 i = 0; i < size; i++)
        bytes[i] = (u8)(value >> 8 * i);
    clear_bits(f->bytes + offset, bytes, size);
    return 1;
}

static int programmable(const u8 *cells, const u8 *value)
{
    u32 zeros = 0, ones = 0xFF;
    for (int i = 0; i < 8; i++)
        zeros |= value[i], ones &= cells[i];
    return zeros == 0 || ones == 0xFF;
}

/* STM32L4+: two stores of words in order make an erased doubleword, or clear any to zeros. */
int take_l4(struct flash *f, u32 offset, u32 size, u64 value)
{
    enum { SR = 0x10 / 4, CR = 0x14 / 4, PG = 1, ERRORS = 0xC3FA };
    u32 cr = f->controller->regs[CR], sr = f->controller->regs[SR];
    struct flash_word *word = &f->words[0];
    if (cr >> 31 || !(cr & PG) || sr & ERRORS || size != 4)
        return 0;
    if (!word->open) {
        if (offset % 8)
            return 0;
        word->open = 1;
        word->offset = offset;
        fill(word, 0, 4, value);
        return 1;
    }
    if (offset != word->offset + 4)
        return 0;
    struct flash_word whole = *word;
    fill(&whole, 4, 4, value);
    if (!programmable(f->bytes + word->offset, whole.value))
        return 0;
    clear_bits(f->bytes + word->offset, whole.value, 8);
    drop(word);
    return 1;
}

/* STM32H7: stores of any width fill the word of the bank; its last byte has it programmed. */
int take_h7(struct flash *f, u32 offset, u32 size, u64 value)
{
    enum { CR = 0x0C / 4, SR = 0x10 / 4, LOCK = 1, PG = 2, WBNE = 2, PENDING = 9 << 18 };
    u32 bank = offset >= f->size / 2, *regs = f->controller->regs + bank * 0x100 / 4;
    u32 at = offset % 32, written = ((1u << size) - 1) << at;
    struct flash_word *word = &f->words[bank];
    if ((regs[CR] & (LOCK | PG)) != PG || regs[SR] & PENDING)
        return 0;
    if ((word->open && word->offset != offset - at) || word->filled & written)
        return 0;
    word->open = 1;
    word->offset = offset - at;
    fill(word, at, size, value);
    regs[SR] |= WBNE;
    if (word->filled == FULL_WORD) {
        clear_bits(f->bytes + word->offset, word->value, 32);
        drop(word);
        regs[SR] &= ~(u32)WBNE;
    }
    return 1;
}

static int is_plain(const struct flash *f, u32 offset, u32 size)
{
    return !f->watched && offset % size == 0 && (offset < f->code_start || offset >= f->code_end);
}

int flash_store(void *uc, int type, u64 address, int size, i64 data, void *user)
{
    struct flash *f = user;
    u32 bytes = (u32)size; /* 8: of a VSTR with a double register */
    u64 value = bytes < 8 ? (u64)data & lane_mask(bytes) : (u64)data;
    (void)uc, (void)type;
    for (u32 b = 0; b < f->base_count; b++) {
        u32 offset = (u32)address - f->bases[b];
        if (offset >= f->size)
            continue;
        if (!is_plain(f, offset, bytes) || !f->take(f, offset, bytes, value))
            f->program(offset, bytes, value);
        return 1;
    }
    return (u32)address < 0x20000000u; /* in other read-only memory it is lost */
}
