/* What native/memory.c works on. Mirrored by farm/virtual/caches.py, memory_plan.py and
 * memory_timing.py.
 */
#ifndef MEMORY_H
#define MEMORY_H
#include "board.h"

typedef unsigned short u16;

enum { NO_REGISTER = 15 };

struct cache { /* lines of rows, the longest unused line of a set goes first */
    u64 clock;          /* lines looked up, and times emptied */
    u64 hits, misses;   /* lines found with all rows wanted; rows fetched */
    u64 losses;         /* lines that lost their slot */
    u32 line_shift, row_shift; /* bytes of a line and of a row, as powers of two */
    u32 set_mask, ways;
    u32 *tags;   /* of each slot: its line and 1; 0: empty. Way w of set s is slot s * ways + w */
    u32 *filled; /* of each slot: its rows that are there */
    u64 *stamps; /* of each slot: the clock when it was last used */
    u8 *where;   /* of each line: its slot and 1; only for one set of many ways */
    struct plan *late; /* whose stamps are still to be written */
};

struct region { /* memory that does not answer at once */
    u32 base, size;
    u32 origin;     /* what its first byte is called in the cache */
    u32 stall;      /* cycles until a row that is missing comes */
    u32 row_cycles; /* of one row that is prefetched; 0: nothing is */
    u32 allocates;  /* stores too */
    struct cache *cache; /* 0: every access stalls */
};

struct group { /* loads or stores of one block that differ in a constant alone */
    u32 offset, last; /* of the first byte, and how far behind it the last one lies */
    u8 registers[2], shifts[2];
    u16 store, beats; /* beats: transfers over the bus without a cache */
    u32 slot;         /* where the line of its first byte was found last */
};

struct memory;

struct plan { /* what one block fetches and accesses */
    struct memory *memory;
    struct region *code; /* 0: answers at once */
    struct cache *seen;  /* the cache of its last look-up, if no row was missing */
    u64 losses;          /* of that cache then: while they stay, no line can be missing */
    u64 touched;         /* the clock of that cache before the last time it found all lines so */
    struct plan *next;   /* in the list of late ones */
    struct group *groups;
    u32 start, last; /* its first and last byte, as the cache calls them */
    u32 lines, late; /* of its last look-up; whether it is in the list */
    u32 group_count, register_count;
    u32 known, unknown; /* accesses with a known address, and others */
    u8 registers[16];   /* those that the groups need */
};

struct memory {
    u64 code_stalls, data_stalls; /* cycles */
    u64 known, unknown;           /* accesses of the blocks entered */
    u64 uncached;                 /* transfers that went past the caches */
    struct region *regions;
    u32 region_count;
    int register_ids[15];
};

u32 memory_stall(const struct counters *c, void *uc, const struct edge *e); /* cycles */

#endif
