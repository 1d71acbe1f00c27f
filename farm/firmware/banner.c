/* The banner: the nonce of the request, so that it cannot be an old one; twelve words of facts;
 * the image's identity; the number of register values and these; the board type up to the end. */
#include "banner.h"

#include "board.h"
#include "clock.h"
#include "core.h"
#include "cycles.h"
#include "memory.h"
#include "network.h"

static const uint32_t checked[] = {BOARD_CHECKS};
static const char board_type[] = BOARD_TYPE;

static uint32_t put_text(uint8_t *to, const char *text) {
    uint32_t count = 0;
    for (; text[count]; ++count) to[count] = (uint8_t)text[count];
    return count;
}

static uint32_t put_facts(uint32_t *words) {
    uint32_t at = 1; /* behind the nonce, which stays where it came */
    words[at++] = SCB_CPUID;
    words[at++] = clock_hz();
    words[at++] = clock_source();
    words[at++] = network_shape.input_bytes;
    words[at++] = network_shape.output_bytes;
    words[at++] = network_shape.arena_bytes;
    words[at++] = network_shape.layer_count;
    words[at++] = (uint32_t)((uintptr_t)stack_top - (uintptr_t)stack_limit);
    words[at++] = cycles_overhead();
    for (uint32_t part = 0; part < 3u; ++part) words[at++] = REGISTER(BOARD_UNIQUE_ID + 4u * part);
    return at;
}

enum frame_status banner(struct frame *frame) {
    if (frame->payload_bytes != 4u) return FRAME_BAD_ARGUMENT;
    uint8_t *bytes = frame->payload.bytes;
    uint32_t *words = frame->payload.words;
    uint32_t at = put_facts(words);
    for (uint32_t part = 0; part < IMAGE_ID_BYTES; ++part) bytes[4u * at + part] = image_id[part];
    at += IMAGE_ID_BYTES / 4u;
    uint32_t count = sizeof(checked) / sizeof(checked[0]);
    words[at++] = count;
    for (uint32_t index = 0; index < count; ++index) words[at++] = REGISTER(checked[index]);
    frame->payload_bytes = 4u * at + put_text(bytes + 4u * at, board_type);
    return FRAME_OK;
}
