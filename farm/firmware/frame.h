/* Frames on the wire: COBS(header, payload, CRC-32) and a zero byte. Little-endian.
 *
 * At most 252 bytes lie under the COBS code, so a frame never has more than one code of 254. */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

#define FRAME_VERSION 1u
#define FRAME_PAYLOAD_BYTES 244u

struct frame {
    uint8_t version;
    uint8_t kind;     /* the command; its reply has bit 7 set */
    uint8_t sequence; /* the reply repeats it */
    uint8_t status;   /* enum frame_status, 0 in a request */
    union {
        uint8_t bytes[FRAME_PAYLOAD_BYTES];
        uint32_t words[FRAME_PAYLOAD_BYTES / 4u];
    } payload;
    uint32_t room[2];       /* for the CRC, and the code byte of a frame still encoded */
    uint32_t payload_bytes; /* not on the wire */
};

enum frame_status {
    FRAME_OK = 0,
    FRAME_MORE = 1,        /* more replies to the same request follow */
    FRAME_DAMAGED = 2,     /* sent unasked: what arrived was no frame */
    FRAME_BAD_VERSION = 3,
    FRAME_BAD_COMMAND = 4,
    FRAME_BAD_ARGUMENT = 5,
    FRAME_BAD_INPUT = 6,   /* the network's input is not the one that the host means */
};

uint32_t frame_crc32(const uint8_t *data, uint32_t count);

/* Waits for the next frame; 0 when it is damaged. Empty ones are skipped. */
int frame_receive(struct frame *frame);
void frame_send(struct frame *frame);

#endif
