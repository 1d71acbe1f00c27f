/* Addresses from the linker script, and the identity that the build writes into the image. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

extern uint32_t stack_limit[], stack_top[];               /* [limit, top): the reserved stack */
extern uint32_t hot_load[], hot_start[], hot_end[];       /* code that runs from RAM, likewise */
extern uint32_t data_load[], data_start[], data_end[];    /* data, and its copy in flash */
extern uint32_t bss_start[], bss_end[];

#define IMAGE_ID_BYTES 32u
/* Volatile: the build fills it in behind the compiler's back. */
extern const volatile uint8_t image_id[IMAGE_ID_BYTES];

#endif
