/* The least that a Cortex-M needs to run a program under QEMU: vectors, cleared memory, and an exit by semihosting. */
#include <stddef.h>
#include <stdint.h>

extern uint32_t stack_top, bss_start, bss_end;
int main(void);
void reset(void);
void *memset(void *to, int value, size_t n);
void *memcpy(void *to, const void *from, size_t n);

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {&stack_top, (void *)reset};

void *memset(void *to, int value, size_t n)
{
    for (unsigned char *p = to; n-- > 0; p++) {
        *p = (unsigned char)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    const unsigned char *q = from;
    for (unsigned char *p = to; n-- > 0; p++) {
        *p = *q++;
    }
    return to;
}

void reset(void)
{
    uint32_t block[2] = {0x20026, 0}; /* ADP_Stopped_ApplicationExit */
    for (uint32_t *p = &bss_start; p < &bss_end; p++) {
        *p = 0;
    }
    block[1] = (uint32_t)main();
    register uint32_t what __asm__("r0") = 0x20; /* SYS_EXIT_EXTENDED */
    register uint32_t *with __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : : "r"(what), "r"(with) : "memory");
    for (;;) {
    }
}
