/* Runs of bytes, copied and filled. Kernels that use them say TR_NO_LIBRARY. */
#ifndef TINYRACK_MOVE_H
#define TINYRACK_MOVE_H

#include "kernels.h"

/* Forward: `to` may overlap `from` where it does not lie behind it. The end of what was written. */
TR_INLINE int8_t *tr_copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4)
        tr_store4(to, tr_load4(from));
    for (; count > 0; count--)
        *to++ = *from++;
    return to;
}

TR_INLINE int8_t *tr_fill(int8_t *to, int32_t value, int32_t count)
{
    int32_t word = tr_pack4(value, value, value, value);
    for (; count >= 4; count -= 4, to += 4)
        tr_store4(to, word);
    for (; count > 0; count--)
        *to++ = (int8_t)value;
    return to;
}

#endif
