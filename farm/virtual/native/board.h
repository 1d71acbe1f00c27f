/* What the native files share, and share with Python.
 *
 * Mirrored by farm/virtual/hook.py (Counters, Edge), pages.py (PageState) and flash_state.py.
 * No header is included: the files are built without a C library.
 */
#ifndef BOARD_H
#define BOARD_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

enum { READ_PLAIN = 0, READ_CALL = 1, READ_STATUS = 2 };
enum { WRITE_PLAIN = 0, WRITE_CALL = 1, WRITE_CALL_ON_MASK = 2, WRITE_TRANSMIT = 3 };

struct edge {
    u64 prev, cur;    /* block = address | size << 32; cur 0: free */
    u32 cost;         /* cycles */
    u32 instructions; /* of cur */
    struct plan *plan; /* of cur, by memory.h; 0: memory answers at once */
    u32 floating; /* cur holds a floating-point instruction */
    u32 strict;   /* index of the first of its forms; 0: none */
};

struct counters {
    u64 cycles;       /* cost of all edges so far */
    u64 blocks;       /* blocks entered */
    u64 instructions; /* of the blocks entered */
    u64 prev;         /* the block that runs now; 0: none, the pipeline is empty */
    u64 before;       /* the block before it */
    u64 cost;         /* what the last edge cost */
    u64 event;        /* stop when cycles reaches this */
    i64 fuel;         /* stop when the halfwords of a slice are used up */
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
    int (*price)(struct edge *edge); /* fills in a new edge; 0: stop before the block */
    int (*emu_stop)(void *uc);
    int (*reg_read)(void *uc, int id, void *value);
    int mask_ids[3];
    u32 attention; /* an exception may have become ready: look before the next block */
    int general_ids[15];
    const u64 *forms; /* what must be 0 modulo 4: lists that end with 0 */
    int (*mem_read)(void *uc, u64 address, void *bytes, u64 size);
    u32 sent; /* bytes waiting in sent_bytes */
    u32 sent_size;
    u8 *sent_bytes;
    struct exceptions *exceptions; /* exceptions.h; 0: Python serves them */
};

int attend(struct counters *c, void *uc, u32 pc); /* exceptions.c */
int postponed(struct counters *c);
int preserve(struct counters *c, void *uc);
int misaligned(struct counters *c, void *uc, u32 first); /* strict.c */

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

struct flash_word { /* what a controller has been given of a word that is not programmed yet */
    u32 open;   /* there is such a word */
    u32 offset; /* of its cells */
    u32 filled; /* a bit a byte */
    u8 value[32];
};

struct flash {
    u8 *bytes;
    u32 size, base_count;
    u32 bases[4]; /* where the core sees it */
    struct page *controller;
    int (*take)(struct flash *f, u32 offset, u32 size, u64 value); /* the family's */
    u32 (*program)(u32 offset, u32 size, u64 value); /* the Python model: checks, errors */
    u32 watched;              /* every store is Python's */
    u32 code_start, code_end; /* offsets: a store among code that has run is Python's too */
    struct flash_word words[2];
};

static inline u32 lane_mask(u32 size)
{
    return size >= 4 ? 0xFFFFFFFFu : (1u << 8 * size) - 1;
}

#endif
