/* Recursion, calls through pointers, tail calls and many arguments. */
#include "program.h"

NOINLINE static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

NOINLINE static u32 ackermann(u32 m, u32 n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

NOINLINE static u32 many(u32 a, u32 b, u32 c, u32 d, u32 e, u32 f, u32 g)
{
    return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f + 13 * g;
}

NOINLINE static u32 plus(u32 x) { return x + 17; }
NOINLINE static u32 times(u32 x) { return x * 5; }
NOINLINE static u32 turned(u32 x) { return x << 9 | x >> 23; }

static u32 (*const steps[])(u32) = {plus, times, turned};

u32 work(void)
{
    u32 sum = mixed(fibonacci(17), ackermann(2, 9)), state = 3;
    for (u32 i = 0; i < 500; i++) {
        sum = steps[next(&state) % 3](sum);
        sum = many(sum, i, 2, 3, sum, 5, i);
    }
    return sum;
}
