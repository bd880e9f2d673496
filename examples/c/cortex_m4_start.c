/* Start-up of a bare-metal program on a Cortex-M4 with FPU. */
#include "cortex_m4.h"

int main(void);

/* The symbols are those of cortex_m4.ld. */
extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];

void reset(void);

static void fault(void) {
    print("fault\n");
    stop(RUN_TIME_ERROR);
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
    /* Coprocessors 10 and 11 are the FPU: off after reset, and `float` arguments travel in its registers. */
    volatile uint32_t *const access_control = (volatile uint32_t *)0xe000ed88u;
    *access_control |= 0xfu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    for (uint32_t *to = data_start, *from = data_load; to < data_end; to++, from++) {
        *to = *from;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    stop(main() == 0 ? APPLICATION_EXIT : RUN_TIME_ERROR);
}
