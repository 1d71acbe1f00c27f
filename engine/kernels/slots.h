/* SPDX-License-Identifier: Apache-2.0 */
/* Steps through the pairs of 3x3 kernels as text for assembly: see sweep.h. */
#ifndef TINYRACK_SLOTS_H
#define TINYRACK_SLOTS_H

/* Bytes to the next column, and to the next channel, with that many slots. */
#define COLUMN_7 "112"
#define COLUMN_3 "48"
#define COLUMN_14 "224"
#define CHANNEL_7(n) "(28 * " #n ")"
#define CHANNEL_3(n) "(12 * " #n ")"
#define CHANNEL_14(n) "(56 * " #n ")"

#endif
