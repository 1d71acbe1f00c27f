/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a pool's window that lies inside of the image. */
#ifndef TINYRACK_WINDOW_H
#define TINYRACK_WINDOW_H

#include "kernels.h"

typedef struct {
    int32_t top, bottom, left, right;
} tr_window;

TR_INLINE tr_window tr_window_at(const tr_pool *op, int32_t oy, int32_t ox)
{
    int32_t top = oy * op->stride_h - op->pad_top, left = ox * op->stride_w - op->pad_left;
    int32_t bottom = top + op->kernel_h, right = left + op->kernel_w;
    tr_window window = {
        top < 0 ? 0 : top,
        bottom > op->in_h ? op->in_h : bottom,
        left < 0 ? 0 : left,
        right > op->in_w ? op->in_w : right,
    };
    return window;
}

TR_INLINE int tr_is_whole(const tr_pool *op, const tr_window *window)
{
    return window->bottom - window->top == op->kernel_h &&
           window->right - window->left == op->kernel_w;
}

#endif
