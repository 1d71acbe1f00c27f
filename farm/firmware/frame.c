#include "frame.h"

#include "usart.h"

#define HEADER_BYTES 4u
#define CRC_BYTES 4u
#define BODY_LIMIT (HEADER_BYTES + FRAME_PAYLOAD_BYTES + CRC_BYTES)
#define ENCODED_LIMIT (BODY_LIMIT + 1u)

uint32_t frame_crc32(const uint8_t *data, uint32_t count) {
    static const uint32_t nibbles[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t index = 0; index < count; ++index) {
        crc ^= data[index];
        crc = crc >> 4 ^ nibbles[crc & 15u];
        crc = crc >> 4 ^ nibbles[crc & 15u];
    }
    return ~crc;
}

/* Up to the next zero byte; how many came before it, or ENCODED_LIMIT + 1 if too many. */
static uint32_t receive_encoded(uint8_t *buffer) {
    uint32_t count = 0;
    for (;;) {
        uint8_t byte = usart_read();
        if (byte == 0) return count;
        if (count < ENCODED_LIMIT) buffer[count] = byte;
        if (count <= ENCODED_LIMIT) ++count;
    }
}

/* COBS in place; the decoded length, or 0 when a code points past the end. */
static uint32_t decode(uint8_t *buffer, uint32_t count) {
    uint32_t read = 0, written = 0;
    while (read < count) {
        uint32_t code = buffer[read++];
        if (code - 1u > count - read) return 0;
        for (uint32_t left = code; left > 1u; --left) buffer[written++] = buffer[read++];
        if (code != 0xFFu && read < count) buffer[written++] = 0;
    }
    return written;
}

static uint32_t crc_at(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

int frame_receive(struct frame *frame) {
    uint8_t *body = (uint8_t *)frame;
    uint32_t count;
    do {
        count = receive_encoded(body);
    } while (count == 0);
    if (count > ENCODED_LIMIT) return 0;
    uint32_t length = decode(body, count);
    if (length < HEADER_BYTES + CRC_BYTES) return 0;
    frame->payload_bytes = length - HEADER_BYTES - CRC_BYTES;
    return frame_crc32(body, length - CRC_BYTES) == crc_at(body + length - CRC_BYTES);
}

/* COBS straight to the wire: each code says how far the next zero is. */
static void send_encoded(const uint8_t *body, uint32_t count) {
    uint32_t start = 0;
    for (;;) {
        uint32_t end = start;
        while (end < count && body[end] != 0) ++end;
        usart_write((uint8_t)(end - start + 1u));
        while (start < end) usart_write(body[start++]);
        if (end == count) break;
        start = end + 1u;
    }
    usart_write(0);
}

void frame_send(struct frame *frame) {
    uint8_t *body = (uint8_t *)frame;
    uint32_t length = HEADER_BYTES + frame->payload_bytes;
    uint32_t crc = frame_crc32(body, length);
    for (uint32_t shift = 0; shift < 32u; shift += 8u) body[length++] = (uint8_t)(crc >> shift);
    send_encoded(body, length);
}
