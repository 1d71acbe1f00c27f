/* A network of ours: convolutions, pooling, sums and requantisation, by the fast kernels. */
#include "model.h"
#include "program.h"

u32 work(void)
{
    u32 sum = 0, state = 19;
    int8_t *in = tinyrack_input(0);
    for (u32 round = 0; round < 2; round++) {
        for (u32 i = 0; i < TINYRACK_INPUT_BYTES; i++)
            in[i] = (int8_t)(next(&state) >> 24);
        tinyrack_run();
        const int8_t *out = tinyrack_output(0);
        for (u32 i = 0; i < TINYRACK_OUTPUT_BYTES; i++)
            sum = mixed(sum, (u8)out[i]);
    }
    return sum;
}
