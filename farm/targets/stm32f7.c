/* STM32F74x and F76x in one bank: sectors of 4 x 32, 1 x 128 and n x 256 KiB, words of 32 bits.
 * Registers by ST's CMSIS device headers, sequences by ST's HAL and RM0090 (the F4's). */
#include "algorithm.h"

#define FLASH_BASE 0x08000000u
#define KEYR REGISTER(0x40023C04u)
#define SR REGISTER(0x40023C0Cu)
#define CR REGISTER(0x40023C10u)

#define SR_ERRORS 0xF2u /* ERSERR, PGPERR, PGAERR, WRPERR, OPERR; a 1 clears */
#define SR_BUSY (1u << 16)
#define CR_PROGRAM (1u << 0)
#define CR_SECTOR (1u << 1)
#define CR_ALL (1u << 2)
#define CR_WORDS (2u << 8) /* 32 bits at a time: 2.7 to 3.6 V */
#define CR_START (1u << 16)
#define CR_LOCK (1u << 31)

static uint32_t finish(void) {
    barrier();
    while (SR & SR_BUSY) {
    }
    CR = CR_WORDS;
    return SR & SR_ERRORS;
}

uint32_t algorithm_init(uint32_t address, uint32_t clock_hz, uint32_t operation) {
    (void)address, (void)clock_hz, (void)operation;
    if (CR & CR_LOCK) { /* a key too many would lock it until the next reset */
        KEYR = UNLOCK_1;
        KEYR = UNLOCK_2;
    }
    SR = SR_ERRORS;
    return CR & CR_LOCK;
}

uint32_t algorithm_uninit(uint32_t operation) {
    (void)operation;
    CR = CR_LOCK;
    return 0;
}

uint32_t algorithm_erase_all(void) {
    SR = SR_ERRORS;
    CR = CR_ALL | CR_WORDS;
    CR = CR_ALL | CR_WORDS | CR_START;
    return finish();
}

static uint32_t sector_of(uint32_t offset) {
    if (offset < 0x20000u) return offset >> 15;
    return offset < 0x40000u ? 4u : 4u + (offset >> 18);
}

uint32_t algorithm_erase_sector(uint32_t address) {
    uint32_t sector = CR_SECTOR | CR_WORDS | sector_of(address - FLASH_BASE) << 3;
    SR = SR_ERRORS;
    CR = sector;
    CR = sector | CR_START;
    return finish();
}

uint32_t algorithm_program_page(uint32_t address, uint32_t bytes, const uint32_t *data) {
    SR = SR_ERRORS;
    CR = CR_PROGRAM | CR_WORDS;
    for (uint32_t at = 0; at < bytes; at += 4) {
        REGISTER(address + at) = *data++;
        barrier();
        while (SR & SR_BUSY) {
        }
        if (SR & SR_ERRORS) break;
    }
    return finish();
}
