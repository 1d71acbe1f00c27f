/* Single precision on both cores, double where the core has it: fused products, conversions. */
#include "program.h"

#if __ARM_FP & 8
typedef double wide;
#define WIDE "f64"
#define REG "P"
#else
typedef float wide;
#define WIDE "f32"
#define REG ""
#endif

static inline wide fused(wide a, wide b, wide sum)
{
    __asm("vfma." WIDE " %" REG "0, %" REG "1, %" REG "2" : "+t"(sum) : "t"(a), "t"(b));
    return sum;
}

static inline wide root(wide x)
{
    wide found;
    __asm("vsqrt." WIDE " %" REG "0, %" REG "1" : "=t"(found) : "t"(x));
    return found;
}

NAKED static u32 moved(float *at)
{
    __asm volatile("push {r4, lr}\n"
                   "vpush {s16-s23}\n"
                   "vldmia r0!, {s0-s7}\n"
                   "vldr s8, [r0]\n"
                   "vmla.f32 s0, s1, s2\n"
                   "vmls.f32 s3, s4, s5\n"
                   "vfma.f32 s6, s7, s8\n"
                   "vfnms.f32 s1, s0, s3\n"
                   "vnmul.f32 s2, s6, s1\n"
                   "vcmpe.f32 s2, s3\n"
                   "vmrs apsr_nzcv, fpscr\n"
                   "itete gt\n"
                   "vmovgt.f32 s16, s2\n"
                   "vaddle.f32 s16, s2, s3\n"
                   "vabsgt.f32 s17, s3\n"
                   "vnegle.f32 s17, s3\n"
                   "vcvtr.s32.f32 s18, s16\n"
                   "vcvt.u32.f32 s19, s17\n"
                   "vcvt.f32.s32 s20, s18\n"
                   "vmov.f32 s21, s17\n"
                   "vcvt.s32.f32 s21, s21, #7\n"
                   "vdiv.f32 s22, s20, s17\n"
                   "vsqrt.f32 s23, s17\n"
                   "vcvtb.f16.f32 s4, s23\n"
                   "vcvtb.f32.f16 s5, s4\n"
                   "vstmdb r0!, {s16-s23}\n"
                   "vmov r1, s18\n"
                   "vmov r2, r3, s21, s22\n"
                   "vmov r4, s5\n"
                   "eor r0, r1, r2, ror #7\n"
                   "add r0, r0, r3\n"
                   "eor r0, r0, r4\n"
                   "vpop {s16-s23}\n"
                   "pop {r4, pc}\n");
}

static u32 bits(wide value)
{
    u32 sum = 0;
    u8 raw[sizeof value];
    __builtin_memcpy(raw, &value, sizeof value);
    for (u32 i = 0; i < sizeof value; i++)
        sum = mixed(sum, raw[i]);
    return sum;
}

#if __ARM_FP & 8
NAKED static u32 chosen(double a, double b) /* what Armv8's FPU has besides */
{
    __asm volatile("vcmp.f64 d0, d1\n"
                   "vmrs apsr_nzcv, fpscr\n"
                   "vselgt.f64 d2, d0, d1\n"
                   "vmaxnm.f64 d3, d0, d1\n"
                   "vrintz.f64 d4, d2\n"
                   "vcvta.s32.f64 s10, d3\n"
                   "vrintn.f32 s11, s0\n"
                   "vadd.f64 d2, d2, d4\n"
                   "vmov r0, r1, d2\n"
                   "vmov r2, s10\n"
                   "vmov r3, s11\n"
                   "add r0, r0, r1\n"
                   "eor r0, r0, r2\n"
                   "add r0, r0, r3\n"
                   "bx lr\n");
}
#else
static u32 chosen(float a, float b) { return bits(a > b ? a : b); }
#endif

u32 work(void)
{
    static wide x[64];
    static float at[17];
    u32 sum = 0, state = 17;
    for (u32 round = 0; round < 10; round++) {
        for (u32 i = 0; i < 64; i++)
            x[i] = (wide)(int32_t)next(&state) / (wide)(1u << (i & 31));
        wide dot = 0, worst = 0;
        for (u32 i = 0; i < 64; i++) {
            dot = fused(x[i], x[63 - i], dot);
            worst = x[i] > worst ? x[i] : worst;
            sum = mixed(sum, chosen(x[i], x[i ^ 1]));
        }
        sum = mixed(sum, bits(dot) + bits(root(worst)) + bits(dot / (worst + 1)));
        for (u32 i = 0; i < 17; i++)
            at[i] = (float)x[i] * 0.001f;
        sum = mixed(sum, moved(at + (round & 7)));
    }
    return sum;
}
