/* STM32H743 and H753: two banks of 8 sectors of 128 KiB, flash words of 256 bits.
 * Registers by ST's CMSIS device header, sequences by RM0399, whose flash is the same. */
#include "algorithm.h"

#define FLASH_BASE 0x08000000u
#define BANK_BYTES 0x100000u
#define BANK(address) ((address) - FLASH_BASE < BANK_BYTES ? 0x52002000u : 0x52002100u)
#define BOTH(bank) (uint32_t bank = 0x52002000u; bank <= 0x52002100u; bank += 0x100u)
#define KEYR(bank) REGISTER((bank) + 0x04u)
#define CR(bank) REGISTER((bank) + 0x0Cu)
#define SR(bank) REGISTER((bank) + 0x10u)
#define CCR(bank) REGISTER((bank) + 0x14u)

#define SR_BUSY 7u            /* BSY, WBNE, QW */
#define SR_ERRORS 0x07EE0000u /* WRPERR to DBECCERR */
#define SR_DONE 0x00010000u   /* EOP */
#define CR_LOCK (1u << 0)
#define CR_PROGRAM (1u << 1)
#define CR_SECTOR (1u << 2)
#define CR_BANK (1u << 3)
#define CR_WORDS (2u << 4) /* PSIZE: 32 bits at a time inside the array */
#define CR_START (1u << 7)

static uint32_t finish(uint32_t bank) {
    barrier();
    while (SR(bank) & SR_BUSY) {
    }
    CR(bank) = CR_WORDS;
    return SR(bank) & SR_ERRORS;
}

static void clear(uint32_t bank) { CCR(bank) = SR_ERRORS | SR_DONE; }

uint32_t algorithm_init(uint32_t address, uint32_t clock_hz, uint32_t operation) {
    (void)address, (void)clock_hz, (void)operation;
    uint32_t locked = 0;
    for BOTH(bank) {
        clear(bank);
        if (CR(bank) & CR_LOCK) { /* a key too many would lock it until the next reset */
            KEYR(bank) = UNLOCK_1;
            KEYR(bank) = UNLOCK_2;
        }
        locked |= CR(bank) & CR_LOCK;
    }
    return locked;
}

uint32_t algorithm_uninit(uint32_t operation) {
    (void)operation;
    for BOTH(bank) CR(bank) = CR_LOCK;
    return 0;
}

static uint32_t erase(uint32_t bank, uint32_t what) {
    clear(bank);
    CR(bank) = what | CR_WORDS;
    CR(bank) = what | CR_WORDS | CR_START;
    return finish(bank);
}

uint32_t algorithm_erase_all(void) {
    uint32_t failed = 0;
    for BOTH(bank) failed |= erase(bank, CR_BANK);
    return failed;
}

uint32_t algorithm_erase_sector(uint32_t address) {
    uint32_t number = (address - FLASH_BASE) % BANK_BYTES >> 17;
    return erase(BANK(address), CR_SECTOR | number << 8);
}

uint32_t algorithm_program_page(uint32_t address, uint32_t bytes, const uint32_t *data) {
    uint32_t bank = BANK(address), failed = 0;
    clear(bank);
    CR(bank) = CR_PROGRAM | CR_WORDS;
    for (uint32_t at = 0; at < bytes && !failed; at += 32) {
        for (uint32_t word = 0; word < 32; word += 4) REGISTER(address + at + word) = *data++;
        barrier();
        while (SR(bank) & SR_BUSY) {
        }
        failed = SR(bank) & SR_ERRORS;
    }
    return failed | finish(bank);
}
