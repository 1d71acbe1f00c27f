/* Registers of the Cortex-M core that the harness touches (Armv7-M ARM, private peripheral bus). */
#ifndef CORE_H
#define CORE_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)
#define NVIC_ISER(n) REGISTER(0xE000E100u + 4u * (n))
#define NVIC_ICPR(n) REGISTER(0xE000E280u + 4u * (n))
#define SCB_CPUID REGISTER(0xE000ED00u)
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_HFSR REGISTER(0xE000ED2Cu)
#define SCB_BFAR REGISTER(0xE000ED38u)
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_CPACR REGISTER(0xE000ED88u)
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RASR REGISTER(0xE000EDA0u)
#define DEMCR REGISTER(0xE000EDFCu)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)
#define SCB_DCCISW REGISTER(0xE000EF74u)

/* Everything before is done, and seen, before anything behind is fetched. */
static inline void core_barrier(void) { __asm volatile("dsb\n\tisb" ::: "memory"); }

/* PRIMASK stays set from reset on: no interrupt is ever taken, so nothing disturbs a timed run.
 * A pending one still ends the sleep. */
static inline void core_mask_interrupts(void) { __asm volatile("cpsid i" ::: "memory"); }
static inline void core_wait_for_interrupt(void) { __asm volatile("dsb\n\twfi" ::: "memory"); }

#endif
