/* Who this is: the answer to HELLO. */
#ifndef BANNER_H
#define BANNER_H

#include "frame.h"

enum frame_status banner(struct frame *frame);

#endif
