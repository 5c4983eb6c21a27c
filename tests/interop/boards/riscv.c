/* The same for a RISC-V: QEMU's `virt` machine clears its memory itself. */
#include <stddef.h>

void *memset(void *to, int value, size_t n);
void *memcpy(void *to, const void *from, size_t n);

__asm__(".section .start, \"ax\"\n"
        ".globl _start\n"
        "_start: la sp, stack_top\n"
        "    call main\n"
        "    la a1, block\n"
        "    sw a0, 4(a1)\n"
        "    li a0, 0x20\n" /* SYS_EXIT_EXTENDED */
        ".option push\n"
        ".option norvc\n"
        ".balign 16\n"
        "    slli x0, x0, 0x1f\n" /* the three instructions that mean semihosting */
        "    ebreak\n"
        "    srai x0, x0, 7\n"
        ".option pop\n"
        "1:  j 1b\n"
        ".data\n"
        "block: .word 0x20026, 0\n"
        ".text\n");

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
