/* STM32L4R and L4S with 2 MiB in two banks of 256 pages of 4 KiB; doublewords of 64 bits.
 * Registers by ST's CMSIS device header, sequences by ST's HAL. */
#include "algorithm.h"

#define FLASH_BASE 0x08000000u
#define BANK_BYTES 0x100000u
#define ACR REGISTER(0x40022000u)
#define KEYR REGISTER(0x40022008u)
#define SR REGISTER(0x40022010u)
#define CR REGISTER(0x40022014u)
#define OPTR REGISTER(0x40022020u)

#define ACR_CODE_CACHE (1u << 9)
#define ACR_DATA_CACHE (1u << 10)
#define ACR_CACHES (ACR_CODE_CACHE | ACR_DATA_CACHE)
#define ACR_CACHE_RESETS (3u << 11)
#define SR_ERRORS 0xC3FAu /* a 1 clears */
#define SR_BUSY (1u << 16)
#define CR_PROGRAM (1u << 0)
#define CR_PAGE (1u << 1)
#define CR_BANK_1 (1u << 2)
#define CR_BANK_2 (1u << 15)
#define CR_IN_BANK_2 (1u << 11)
#define CR_START (1u << 16)
#define CR_LOCK (1u << 31)
#define OPTR_TWO_BANKS (1u << 22)

static uint32_t finish(void) {
    barrier();
    while (SR & SR_BUSY) {
    }
    CR = 0;
    return SR & SR_ERRORS;
}

uint32_t algorithm_init(uint32_t address, uint32_t clock_hz, uint32_t operation) {
    (void)address, (void)clock_hz, (void)operation;
    if (!(OPTR & OPTR_TWO_BANKS)) return OPTR_TWO_BANKS; /* one bank has pages of 8 KiB */
    ACR &= ~ACR_CACHES; /* ES0393 2.2.2: no data cache while programming */
    if (CR & CR_LOCK) {
        KEYR = UNLOCK_1;
        KEYR = UNLOCK_2;
    }
    SR = SR_ERRORS;
    return CR & CR_LOCK;
}

uint32_t algorithm_uninit(uint32_t operation) {
    (void)operation;
    CR = CR_LOCK;
    ACR |= ACR_CACHE_RESETS; /* only while the caches are off */
    ACR &= ~ACR_CACHE_RESETS;
    ACR |= ACR_CACHES;
    return 0;
}

uint32_t algorithm_erase_all(void) {
    SR = SR_ERRORS;
    CR = CR_BANK_1 | CR_BANK_2;
    CR = CR_BANK_1 | CR_BANK_2 | CR_START;
    return finish();
}

uint32_t algorithm_erase_sector(uint32_t address) {
    uint32_t offset = address - FLASH_BASE;
    uint32_t page = CR_PAGE | (offset >> 12 & 0xFFu) << 3;
    if (offset >= BANK_BYTES) page |= CR_IN_BANK_2;
    SR = SR_ERRORS;
    CR = page;
    CR = page | CR_START;
    return finish();
}

uint32_t algorithm_program_page(uint32_t address, uint32_t bytes, const uint32_t *data) {
    SR = SR_ERRORS;
    CR = CR_PROGRAM;
    for (uint32_t at = 0; at < bytes; at += 8) {
        REGISTER(address + at) = *data++;
        REGISTER(address + at + 4) = *data++;
        barrier();
        while (SR & SR_BUSY) {
        }
        if (SR & SR_ERRORS) break;
    }
    return finish();
}
