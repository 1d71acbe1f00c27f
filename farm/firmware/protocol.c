#include "protocol.h"

#include "banner.h"
#include "cache.h"
#include "cycles.h"
#include "network.h"
#include "stack.h"

#define WORDS_LIMIT (FRAME_PAYLOAD_BYTES / 4u)
#define WARM_LIMIT 16u
#define MARKS_LIMIT 64u

struct frame protocol_frame;

static enum frame_status reply_words(struct frame *frame, uint32_t count) {
    frame->payload_bytes = 4u * count;
    return FRAME_OK;
}

static int has_words(const struct frame *frame, uint32_t count) {
    return frame->payload_bytes == 4u * count;
}

/* Whether the first word is the CRC of the bench's input, so that no run is of a stale one. */
static int is_input(const struct frame *frame) {
    return frame->payload.words[0] == frame_crc32(network_input(), network_shape.input_bytes);
}

static int in_range(uint32_t offset, uint32_t count, uint32_t size) {
    return offset <= size && count <= size - offset;
}

/* Cycles of one inference on the loaded input, from empty caches if cold. */
static uint32_t timed_run(uint32_t cold) {
    network_load();
    if (cold) cache_empty();
    uint32_t before = cycles_now();
    network_run();
    return cycles_now() - before - cycles_overhead();
}

static enum frame_status load(struct frame *frame) {
    if (frame->payload_bytes < 4u) return FRAME_BAD_ARGUMENT;
    uint32_t offset = frame->payload.words[0], count = frame->payload_bytes - 4u;
    if (!in_range(offset, count, network_shape.input_bytes)) return FRAME_BAD_ARGUMENT;
    for (uint32_t index = 0; index < count; ++index) {
        network_input()[offset + index] = frame->payload.bytes[4u + index];
    }
    frame->payload.words[1] = count;
    return reply_words(frame, 2);
}

static enum frame_status run(struct frame *frame) {
    if (!has_words(frame, 2)) return FRAME_BAD_ARGUMENT;
    if (!is_input(frame)) return FRAME_BAD_INPUT;
    frame->payload.words[0] = timed_run(frame->payload.words[1]);
    network_store();
    frame->payload.words[1] = frame_crc32(network_output(), network_shape.output_bytes);
    return reply_words(frame, 2);
}

static enum frame_status read(struct frame *frame) {
    if (!has_words(frame, 2)) return FRAME_BAD_ARGUMENT;
    uint32_t offset = frame->payload.words[0], count = frame->payload.words[1];
    if (count > FRAME_PAYLOAD_BYTES) return FRAME_BAD_ARGUMENT;
    if (!in_range(offset, count, network_shape.output_bytes)) return FRAME_BAD_ARGUMENT;
    for (uint32_t index = 0; index < count; ++index) {
        frame->payload.bytes[index] = network_output()[offset + index];
    }
    frame->payload_bytes = count;
    return FRAME_OK;
}

static enum frame_status time(struct frame *frame) {
    if (!has_words(frame, 3)) return FRAME_BAD_ARGUMENT;
    if (!is_input(frame)) return FRAME_BAD_INPUT;
    uint32_t warm = frame->payload.words[1], count = frame->payload.words[2];
    if (warm > WARM_LIMIT || count - 1u >= WORDS_LIMIT) return FRAME_BAD_ARGUMENT;
    while (warm--) timed_run(0);
    for (uint32_t index = 0; index < count; ++index) frame->payload.words[index] = timed_run(0);
    return reply_words(frame, count);
}

static enum frame_status trace(struct frame *frame) {
    if (!has_words(frame, 3)) return FRAME_BAD_ARGUMENT;
    if (!is_input(frame)) return FRAME_BAD_INPUT;
    uint32_t first = frame->payload.words[1], count = frame->payload.words[2];
    if (count - 1u >= WORDS_LIMIT) return FRAME_BAD_ARGUMENT;
    if (!in_range(first, count, network_shape.layer_count)) return FRAME_BAD_ARGUMENT;
    network_trace(first, count, frame->payload.words);
    return reply_words(frame, count);
}

static enum frame_status stack(struct frame *frame) {
    static const uint32_t pattern = 0xC0DE57ACu;
    if (!has_words(frame, 1)) return FRAME_BAD_ARGUMENT;
    if (!is_input(frame)) return FRAME_BAD_INPUT;
    network_load();
    struct stack_depth first = stack_measure(pattern, network_run);
    network_load();
    struct stack_depth second = stack_measure(~pattern, network_run);
    frame->payload.words[0] = first.used_bytes;
    frame->payload.words[1] = first.intact_bytes;
    frame->payload.words[2] = second.used_bytes;
    frame->payload.words[3] = second.intact_bytes;
    return reply_words(frame, 4);
}

/* Marks at known cycle counts; the host holds its own clock against them. */
static enum frame_status clock(struct frame *frame) {
    if (!has_words(frame, 2)) return FRAME_BAD_ARGUMENT;
    uint32_t marks = frame->payload.words[0], spacing = frame->payload.words[1];
    if (marks - 2u > MARKS_LIMIT - 2u || spacing > INT32_MAX) return FRAME_BAD_ARGUMENT;
    uint32_t start = cycles_now();
    for (uint32_t mark = 0;; ++mark) {
        uint32_t now = cycles_now();
        frame->payload.words[0] = mark;
        frame->payload.words[1] = now;
        reply_words(frame, 2);
        if (mark + 1u == marks) return FRAME_OK;
        frame->status = FRAME_MORE;
        frame_send(frame);
        start += spacing;
        while ((int32_t)(cycles_now() - start) < 0) {
        }
    }
}

static enum frame_status answer(struct frame *frame, uint8_t command) {
    switch (command) {
        case PROTOCOL_HELLO: return banner(frame);
        case PROTOCOL_LOAD: return load(frame);
        case PROTOCOL_RUN: return run(frame);
        case PROTOCOL_READ: return read(frame);
        case PROTOCOL_TIME: return time(frame);
        case PROTOCOL_TRACE: return trace(frame);
        case PROTOCOL_STACK: return stack(frame);
        case PROTOCOL_CLOCK: return clock(frame);
        default: return FRAME_BAD_COMMAND;
    }
}

static void serve(struct frame *frame) {
    int whole = frame_receive(frame);
    uint8_t command = frame->kind, version = frame->version;
    enum frame_status status = FRAME_DAMAGED;
    frame->version = FRAME_VERSION;
    frame->kind = PROTOCOL_REPLY;
    if (whole) {
        cycles_enable();
        frame->kind = (uint8_t)(command | PROTOCOL_REPLY);
        status = version == FRAME_VERSION ? answer(frame, command) : FRAME_BAD_VERSION;
    }
    frame->status = (uint8_t)status;
    if (status != FRAME_OK) frame->payload_bytes = 0;
    frame_send(frame);
}

void protocol_serve(void) {
    for (;;) serve(&protocol_frame);
}
