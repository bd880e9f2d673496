/* Start-up of a bare Cortex-M or RISC-V machine in QEMU, and semihosting. The symbols are those of board.ld. */
#include "board.h"

#include <stdint.h>

enum { SYS_WRITE0 = 0x04, SYS_EXIT = 0x18, APPLICATION_EXIT = 0x20026, RUN_TIME_ERROR = 0x20023 };

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];

int main(void);
void reset(void);

/* A breakpoint with this mark is served by QEMU. */
static void semihost(int operation, const void *argument) {
#if defined(__arm__)
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
#else
    register int a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n.option norvc\n.balign 16\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
#endif
}

void board_print(const char *text) {
    semihost(SYS_WRITE0, text);
}

void board_stop(int failed) {
    for (;;) {
        semihost(SYS_EXIT, (const void *)(uintptr_t)(failed ? RUN_TIME_ERROR : APPLICATION_EXIT));
    }
}

static void start(void) {
    for (uint32_t *to = data_start, *from = data_load; to < data_end; to++, from++) {
        *to = *from;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    main();
    board_print("the main program has ended\n");
    board_stop(1);
}

#if defined(__arm__)

static void fault(void) {
    board_print("fault\n");
    board_stop(1);
}

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} vector;

/* Stack pointer, reset, then the exceptions up to the usage fault: no interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const vector vectors[] = {
    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault}, {.handler = fault}, {.handler = fault}, {.handler = fault},
};

void reset(void) {
#if defined(__ARM_FP)
    /* Coprocessors 10 and 11 are the FPU: off after reset. */
    volatile uint32_t *const access_control = (volatile uint32_t *)0xe000ed88u;
    *access_control |= 0xfu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    start();
}

#else

static __attribute__((used, aligned(4))) void fault(void) {
    board_print("fault\n");
    board_stop(1);
}

static __attribute__((used)) void begin(void) {
    start();
}

__attribute__((naked, section(".vectors"))) void reset(void) {
    __asm__ volatile(".option push\n.option arch, +zicsr\nla sp, stack_top\nla t0, fault\ncsrw mtvec, t0\n.option pop\nj begin");
}

#endif
