/* Supervisor calls, nested and pending exceptions, masks, faults, FP registers across all of it. */
#include "program.h"

#define ICSR R(0xE000ED04)
#define PEND_SV (1u << 28)

static volatile u32 seen, faults, depth;

NAKED static void on_svc(void)
{
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "push {r4, lr}\n"
                   "bl svc_body\n"
                   "pop {r4, pc}\n");
}

__attribute__((used)) void svc_body(u32 *frame)
{
    u32 number = ((const u8 *)frame[6])[-2];
    seen = mixed(seen, number + frame[1]);
    frame[0] = seen;
    if (number == 2) {
        ICSR = PEND_SV; /* less urgent: behind this handler */
        __asm volatile("dsb\n\tisb");
    }
    if (number == 3) {
        __asm volatile("vmov s0, %0\n\tvadd.f32 s1, s0, s0" ::"r"(number) : "s0", "s1");
    }
}

static void on_pend(void)
{
    seen = mixed(seen, 0x77 + depth);
    if (depth++ < 3)
        ICSR = PEND_SV;
}

/* Steps over the instruction that faulted. */
NAKED static void on_fault(void)
{
    __asm volatile("mov r0, sp\n"
                   "b fault_body\n");
}

__attribute__((used)) void fault_body(u32 *frame)
{
    u32 status = R(0xE000ED28);
    R(0xE000ED28) = status;
    faults = mixed(faults, status);
    u16 first = *(const u16 *)frame[6];
    frame[6] += first >> 11 >= 0x1D ? 4 : 2;
}

static u32 call(u32 which, u32 value)
{
    register u32 r0 __asm("r0") = which;
    register u32 r1 __asm("r1") = value;
    if (which == 2)
        __asm volatile("svc 2" : "+r"(r0) : "r"(r1) : "memory");
    else if (which == 3)
        __asm volatile("svc 3" : "+r"(r0) : "r"(r1) : "memory");
    else
        __asm volatile("svc 1" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

NAKED static u32 faulty(void)
{
    __asm volatile("movs r0, #5\n"
                   "movs r1, #0\n"
                   "nop\n"
                   "udf #3\n"
                   "adds r0, #1\n"
                   "udiv r2, r0, r1\n" /* by zero, trapped */
                   "adds r0, #2\n"
                   "udf.w #9\n"
                   "adds r0, #4\n"
                   "bx lr\n");
}

u32 work(void)
{
    u32 sum = 0;
    table[3] = on_fault;
    table[6] = on_fault;
    table[11] = on_svc;
    table[14] = on_pend;
    R(0xE000ED20) = 0xFF << 16; /* PendSV is the least urgent */
    R(0xE000ED24) = 1 << 18;    /* usage faults have a handler of their own */
    R(0xE000ED14) |= 1 << 4;    /* CCR.DIV_0_TRP */
    __asm volatile("dsb\n\tisb" ::: "memory");
    seen = faults = 0;
    for (u32 i = 0; i < 60; i++) {
        depth = i & 3;
        sum = mixed(sum, call(i % 3 + 1, i));
        if (i & 1) {
            __asm volatile("cpsid i" ::: "memory");
            ICSR = PEND_SV;
            __asm volatile("dsb\n\tisb" ::: "memory");
            sum = mixed(sum, seen); /* nothing yet */
            __asm volatile("cpsie i\n\tisb" ::: "memory");
        }
        sum = mixed(sum, seen + faulty());
    }
    return mixed(sum, faults);
}
