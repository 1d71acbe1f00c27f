/* What a debugger is tried on: calls, and a supervisor call and a fault in a task, which has a stack
 * of its own and uses the FPU. */
typedef unsigned int u32;
#define NOINLINE __attribute__((noinline))

#define R(address) (*(volatile u32 *)(address))

volatile u32 rounds, sum, wanted;
volatile float product;
static unsigned long long task_stack[128];

NOINLINE u32 twice(u32 value) { return 2 * value; }

NOINLINE u32 spread(u32 count)
{
    u32 total = 0;
    for (u32 i = 0; i < count; i++)
        total += twice(i);
    return total;
}

NOINLINE void handler_body(void) { sum++; }

void on_svc(void)
{
    handler_body();
    rounds++;
}

NOINLINE void interrupted(void)
{
    product = product * 0.5f + 1.0f;
    __asm volatile("mov r7, r7\n\tsvc 0\n\t.global behind_svc\nbehind_svc: mov r7, r7" ::: "memory");
}

void on_hard_fault(void)
{
    for (;;)
        ;
}

NOINLINE u32 faulty(u32 address) { return *(volatile u32 *)address + 1; }

NOINLINE void run(void)
{
    for (;;) {
        sum = spread(10);
        interrupted();
        if (wanted)
            sum = faulty(wanted);
    }
}

__attribute__((used)) void start(void)
{
    rounds = sum = wanted = 0;
    product = 0;
    R(0xE000ED88) = 0xF << 20; /* the FPU */
    __asm volatile("dsb\n\tmsr psp, %0\n\tmsr control, %1\n\tisb\n\tbl run\n\tb ."
                   ::"r"(task_stack + 128), "r"(2));
}

__attribute__((naked)) void Reset_Handler(void) { __asm volatile("b start"); }

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) const handler vectors[16] = {
    (handler)0x20010000, Reset_Handler, 0, on_hard_fault, [11] = on_svc,
};

/* Something for the loader to move: 20 KB, so that two sectors are erased. */
#define FOUR(x) x, x + 1, x + 2, x + 3
#define SIXTEEN(x) FOUR(x), FOUR(x + 4), FOUR(x + 8), FOUR(x + 12)
#define ROW(x) SIXTEEN(x * 16), SIXTEEN(x * 16 + 0x1000)
__attribute__((used, section(".vectors.table"))) const u32 table[5120] = {
    ROW(1), ROW(7), ROW(0x23), ROW(0x7D), [5119] = 0x2A7D2324,
};
